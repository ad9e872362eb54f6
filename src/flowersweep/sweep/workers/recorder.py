"""The runs of trials in MLflow, as a worker writes them: for a program that does not record itself, and for duplicates."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from flowersweep.errors import TrackingError
from flowersweep.sweep.runs import Runs, environment_of
from flowersweep.sweep.study.attributes import RUN_ID
from flowersweep.sweep.study.outcome import Outcome, State, number_of, of_exception
from flowersweep.sweep.study.study import default_names
from flowersweep.sweep.study.trial_name import trial_name
from flowersweep.sweep.workers.messages import Job
from flowersweep.sweep.workers.training_process import Relay, TrainingProcess
from flowersweep.sweep.workers.trial import RunningTrial
from flowersweep.tracking.closing import closed_on_failure
from flowersweep.tracking.failure import is_passing
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import runs_like, silent_runs, supersede
from flowersweep.tracking.patience import PATIENCE_SECONDS, patience
from flowersweep.tracking.rules import key_of, searched_key
from flowersweep.tracking.run import REPORTED, RunStatus
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.tracking.store.summary import summary

log = logging.getLogger(__name__)

# A worker that is told to stop while the store is away notices it after these.
PAUSE_SECONDS = 1.0
START_SECONDS = 10.0


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
        searched_key(name): number
        for name, value in params.items()
        if (number := number_of(value)) is not None
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
        """Run a trial, as `TrainingProcess.run` does, with a run in MLflow, which `mlflow.start_run()` in it goes on with.

        If the store refuses something after the start, such as a run that was deleted, this is logged, and the trial goes on.
        """
        trial = RunningTrial(job.number, job.study_name, job.params, job.attempt, job.parent_run_id)
        try:
            if (store := self._store(relay.must_stop)) is None:
                return None
            with patience(START_SECONDS):
                tracker = self.started(store, trial)
                told = replace(job, environment=environment_of(store, tracker.run_id))
        except TrackingError as error:
            return of_exception(error)
        recording = _Recording(relay, tracker, trial)
        outcome: Outcome | None = None
        try:
            relay.keep({RUN_ID: tracker.run_id})
            with _tolerant(trial):
                tracker.text(
                    "".join(f"{line}\n" for line in job.config.hydra.overrides.task), "config/overrides.txt"
                )
            outcome = _explained(process.run(told, recording), tracker.run_id)
        finally:
            state = State.WAITING if outcome is None else outcome.state
            with _tolerant(trial):
                self.missing_params(store, tracker, trial)
            if outcome is not None:
                with _tolerant(trial):
                    self._outcome(tracker, outcome, recording.last)
            with _tolerant(trial):
                # All of them: the program may have used these names itself.
                tracker.tags({**tags_of(trial), "worker": os.getpid(), "trial.state": state.value})
            # Whatever of it the store has refused.
            with _tolerant(trial):
                tracker.end(_STATUS[state])
                tracker.settle(0)
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
        """Start the run of a trial; it takes the place of one whose machine gives no sign of life."""
        parent, own = trial.parent_run_id, tags_of(trial)
        its = {name: own[name] for name in ("study", "kind", "trial")}
        earlier = silent_runs(runs_like(store, its, parent)) if parent is not None and trial.attempt else []
        tracker = MLflowTracker.start(
            store,
            self.runs.experiment,
            trial_name(trial),
            parent_run_id=parent,
            tags={**own, "worker": os.getpid(), **(tags or {})},
        )
        with closed_on_failure(tracker):
            tracker.metrics(searched_numbers(trial.params))
            for run in earlier:
                supersede(store, run, tracker.run_id)
        return tracker

    def missing_params(self, store: Store, tracker: MLflowTracker, trial: RunningTrial) -> None:
        """Log the searched values, except those that the program itself has logged.

        At the end of a trial: a param cannot be changed, and a program that logs, for example, a whole config group under
        its name must not fail because there is such a param already.
        """
        known: Mapping[str, str] = {}
        with suppress(TrackingError), patience(0), translated(f"read run {tracker.run_id}"):
            known = client(store.uri).get_run(tracker.run_id).data.params
        params = {key_of(name): value for name, value in trial.params.items()}
        tracker.params({key: value for key, value in params.items() if key not in known})

    def _outcome(self, tracker: MLflowTracker, outcome: Outcome, last: int | None) -> None:
        if outcome.state is State.COMPLETE:
            named = dict(zip(self.names or default_names(len(outcome.values)), outcome.values, strict=False))
            row = summary(outcome.values[:1], maximize=self.maximize)
            # After the last step, because the program may log a metric of the same name.
            tracker.metrics({**row, **named}, last)
        elif outcome.state is State.FAIL:
            tracker.tags({"failure": outcome.reason})
            if outcome.traceback:
                tracker.text(outcome.traceback, "failure.txt")


def _explained(outcome: Outcome | None, run_id: str) -> Outcome | None:
    """An outcome whose reason also says why MLflow refused to go on with the run of the trial."""
    if outcome is None or not outcome.reason.startswith("MlflowException") or run_id not in outcome.reason:
        return outcome
    return replace(outcome, reason=f"{outcome.reason.rstrip('.')}. {_ELSEWHERE}")


_ELSEWHERE = (
    "The program uses another store or experiment of MLflow than its sweep: name the same ones in MLFLOW_TRACKING_URI and "
    "MLFLOW_EXPERIMENT_NAME, or leave the runs to the program with hydra.sweeper.tracking=none."
)
_STATUS = {
    State.COMPLETE: RunStatus.FINISHED,
    State.PRUNED: RunStatus.FINISHED,
    State.FAIL: RunStatus.FAILED,
    State.WAITING: RunStatus.KILLED,
}


class _Recording:
    """A relay that also logs what a trial reports."""

    def __init__(self, relay: Relay, tracker: MLflowTracker, trial: RunningTrial) -> None:
        self._relay, self._tracker, self._trial = relay, tracker, trial
        self.keep, self.leads, self.must_stop = relay.keep, relay.leads, relay.must_stop
        self.last: int | None = None

    def report(self, step: int, value: float) -> bool:
        self.last = max(step, self.last or 0)
        with _tolerant(self._trial):
            self._tracker.metrics({REPORTED: value}, step)
        return self._relay.report(step, value)


@contextmanager
def _tolerant(trial: RunningTrial) -> Iterator[None]:
    """Log what the store refuses in this block: it must not cost the result of a trial."""
    try:
        yield
    except TrackingError as error:
        log.warning("Trial %d: %s", trial.number, error)
