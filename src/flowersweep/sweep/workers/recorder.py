"""The runs of trials in MLflow, as a worker writes them: for a program that does not record itself, and for duplicates."""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from flowersweep.errors import TrackingError
from flowersweep.sweep.runs import Runs, environment_of
from flowersweep.sweep.study.attributes import RUN_ID
from flowersweep.sweep.study.outcome import Outcome, State, of_exception
from flowersweep.sweep.study.trial_name import trial_name
from flowersweep.sweep.workers.messages import Job
from flowersweep.sweep.workers.training_process import Relay, TrainingProcess
from flowersweep.sweep.workers.trial import RunningTrial
from flowersweep.tracking.closing import closing
from flowersweep.tracking.failure import is_passing
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.patience import PATIENCE_SECONDS, patience
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.tracking.store.summary import summary

REPORTED = "reported"
# A worker that is told to stop while the store is away notices it after these.
PAUSE_SECONDS = 1.0
START_SECONDS = 10.0
# MLflow allows no others in names; Hydra has keys such as db@source.
_NOT_IN_NAMES = re.compile(r"[^\w.\- :/]")


def tags_of(trial: RunningTrial) -> dict[str, object]:
    """The tags by which a trial's runs are found; the searched values are among their params."""
    return {
        "study": trial.study_name,
        "kind": "trial",
        "trial": trial.number,
        "attempt": trial.attempt,
        # The process that started this one: training processes are replaced, their worker is not.
        "worker": os.getppid(),
    }


def searched_numbers(params: Mapping[str, Any]) -> dict[str, float]:
    """The searched numbers as metrics: MLflow sorts params as text, which puts 1e-05 after 0.001."""
    return {
        f"searched/{name}": float(value)
        for name, value in params.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


@dataclass(frozen=True)
class Recorder:
    """Records the trials of another program, from their worker.

    Attributes:
        runs: Where.
        names: The names of the objectives.
        maximize: Whether a larger value of the first one is better.
    """

    runs: Runs
    names: tuple[str, ...]
    maximize: bool

    def run(self, process: TrainingProcess, job: Job, relay: Relay) -> Outcome | None:
        """Run a trial, as `TrainingProcess.run` does, with a run in MLflow, which `mlflow.start_run()` in it goes on with."""
        trial = RunningTrial(job.number, job.study_name, job.params, job.attempt, job.parent_run_id)
        try:
            if (store := self._store(relay.must_stop)) is None:
                return None
            with patience(START_SECONDS):
                tracker = self.started(store, trial)
            relay.keep({RUN_ID: tracker.run_id})
            with closing(tracker, wait=0):
                tracker.text(
                    "".join(f"{line}\n" for line in job.config.hydra.overrides.task), "config/overrides.txt"
                )
                told = replace(job, environment=environment_of(store, tracker.run_id))
                outcome = process.run(told, _Recording(relay, tracker))
                self._end(tracker, outcome)
        except TrackingError as error:
            process.close()  # the trial may wait for an answer
            return of_exception(error)
        return outcome

    def _store(self, must_stop: Callable[[], bool]) -> Store | None:
        """The store, which is waited for; None if the worker is told to stop meanwhile, which a single call would not notice."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not must_stop():
            try:
                with patience(0):
                    return prepare_store(self.runs.directory, self.runs.uri)
            except TrackingError as error:
                if not is_passing(error) or time.monotonic() > until:
                    raise
            time.sleep(PAUSE_SECONDS)
        return None

    def started(
        self, store: Store, trial: RunningTrial, tags: Mapping[str, object] | None = None
    ) -> MLflowTracker:
        """Start the run of a trial, with its params."""
        tracker = MLflowTracker.start(
            store,
            self.runs.experiment,
            trial_name(trial),
            parent_run_id=trial.parent_run_id,
            tags={**tags_of(trial), "worker": os.getpid(), **(tags or {})},
        )
        params = {_NOT_IN_NAMES.sub("_", name): value for name, value in trial.params.items()}
        tracker.params(params)
        tracker.metrics(searched_numbers(params))
        return tracker

    def values(self, tracker: MLflowTracker, values: tuple[float, ...]) -> None:
        """Log the objectives of a trial."""
        named = dict(zip(self.names or ("value",), values, strict=False))
        tracker.metrics({**named, **summary(values[:1], maximize=self.maximize)})

    def _end(self, tracker: MLflowTracker, outcome: Outcome | None) -> None:
        state = State.WAITING if outcome is None else outcome.state
        if outcome is not None and state is State.COMPLETE:
            self.values(tracker, outcome.values)
        elif outcome is not None and state is State.FAIL:
            tracker.tags({"failure": outcome.reason})
            if outcome.traceback:
                tracker.text(outcome.traceback, "failure.txt")
        tracker.tags({"trial.state": state.value})
        tracker.end(_STATUS[state])


_STATUS = {
    State.COMPLETE: RunStatus.FINISHED,
    State.PRUNED: RunStatus.FINISHED,
    State.FAIL: RunStatus.FAILED,
    State.WAITING: RunStatus.KILLED,
}


class _Recording:
    """A relay that also logs what a trial reports."""

    def __init__(self, relay: Relay, tracker: MLflowTracker) -> None:
        self._relay, self._tracker = relay, tracker
        self.keep, self.leads, self.must_stop = relay.keep, relay.leads, relay.must_stop

    def report(self, step: int, value: float) -> bool:
        self._tracker.metrics({REPORTED: value}, step)
        return self._relay.report(step, value)
