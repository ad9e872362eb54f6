"""A worker takes trials of a study one after another and runs them in its training process, until there is no next one.

Workers are independent of each other. Each asks the shared study, so a long trial delays no other worker.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from omegaconf import DictConfig
from optuna import Study
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from flowersweep.sweep.search.pruner import should_prune
from flowersweep.sweep.storage.patience import STORAGE_FAILURES, patience
from flowersweep.sweep.storage.storage import stopped_in_words
from flowersweep.sweep.study.attributes import DEATHS, RUN_ID, earlier_attempts
from flowersweep.sweep.study.budget import Budget, Stop, next_trial
from flowersweep.sweep.study.grid import Grid
from flowersweep.sweep.study.held_trial import HeldTrial
from flowersweep.sweep.study.outcome import Outcome, State, of_exception
from flowersweep.sweep.workers.duplicate import copy_result, duplicate_of
from flowersweep.sweep.workers.failed_run import record_failure
from flowersweep.sweep.workers.isolation.shutdown import Shutdown
from flowersweep.sweep.workers.messages import Job
from flowersweep.sweep.workers.recorder import Recorder
from flowersweep.sweep.workers.training_process import TrainingProcess
from flowersweep.sweep.workers.trial import RunningTrial

log = logging.getLogger(__name__)


class SearchSpace(Grid, Protocol):
    """The part of a search space that a worker needs."""

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Give a trial its values."""

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a trial as its configuration has them."""

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """All overrides of a trial with these values."""


@dataclass
class WorkerReport:
    """The report of a worker.

    Attributes:
        stop: The reason why it ended.
        signal_number: The signal that stopped it; None if there was none.
        counts: Number of trials by outcome.
        pid: Its process.
        by: What has stopped the sweep, in the report of the sweeper; None if nothing has.
    """

    stop: Stop = Stop.SPENT
    signal_number: int | None = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    pid: int = field(default_factory=os.getpid)
    by: str | None = None


@dataclass
class Worker:
    """The state of a worker, for `work`.

    Attributes:
        study: With its pruner.
        space: Gives a trial its values and overrides.
        budget: Of the sweep.
        compose: Creates the configuration, including the `hydra` node, from a trial's number and overrides.
        process: Runs the trials.
        sampler_for: Creates the sampler of a trial from its number.
        sweeper: `process.identity()` of the process that launched this worker; if it is dead, the worker stops.
        parent_run_id: The MLflow run of the study.
        max_retries: How often a trial is restarted after its training process died.
        patience: Seconds to wait for a storage that does not respond.
        folder: Where the end of a trial is kept until the study has it; None for nowhere.
        recorder: Records the trials of another program in MLflow; None if they do so themselves, or nobody does.
    """

    study: Study
    space: SearchSpace
    budget: Budget
    compose: Callable[[int, list[str]], DictConfig]
    process: TrainingProcess
    sampler_for: Callable[[int], BaseSampler]
    sweeper: Mapping[str, str] | None = None
    parent_run_id: str | None = None
    max_retries: int = 1
    patience: float = 0.0
    folder: Path | None = None
    recorder: Recorder | None = None


def work(worker: Worker) -> WorkerReport:
    """Run trials until the budget is spent, the time is up, too many failed, or the worker is told to stop.

    SIGINT, SIGTERM and a message that stops the study end the running trial, which then waits for the next sweep. The
    training process is closed.

    Raises:
        SweepError: No trial can run, or the storage cannot be locked.
        SweepStoppedError: The storage or the disk failed.
    """
    report = WorkerReport()
    with stopped_in_words(), Shutdown(worker.sweeper) as shutdown, worker.process:
        try:
            with patience(worker.patience, shutdown.must_stop):
                stop = _run_trials(worker, shutdown, report)
        except STORAGE_FAILURES:
            if not shutdown.must_stop():  # otherwise it was told to stop while it waited
                raise
            stop = None
        report.stop = stop or Stop.INTERRUPTED
        report.signal_number = None if stop else shutdown.signal_number
    return report


def _run_trials(worker: Worker, shutdown: Shutdown, report: WorkerReport) -> Stop | None:
    """Run trials until there is no next one, and return why; None if the worker was told to stop."""
    while not shutdown.must_stop():
        worker.process.start()  # it loads its modules while this process asks for a trial
        values = _Values(worker.space)
        trial = next_trial(
            worker.study,
            worker.space,
            worker.budget,
            worker.sampler_for,
            worker.folder,
            suggest=values.suggest,
        )
        if isinstance(trial, Stop):
            return trial
        _TrialRun(worker, trial, values, shutdown, report).run()
    return None


class _Values:
    """The values of a trial, or the error with which they could not be found.

    Args:
        space: Gives them.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._params: dict[str, Any] = {}
        self._error: Exception | None = None

    def suggest(self, trial: Trial) -> None:
        """Give a trial its values."""
        self._error = None
        try:
            self._params = self._space.suggest(trial)
        except STORAGE_FAILURES:
            raise
        except Exception as error:  # noqa: BLE001 - a trial without values has failed like any other
            self._error = error

    def get(self) -> dict[str, Any]:
        """The values."""
        if self._error is not None:
            raise self._error
        return self._params


class _TrialRun:
    """One trial, from its values to its outcome in the study. Also the `Relay` of its training process."""

    def __init__(
        self, worker: Worker, trial: Trial, values: _Values, shutdown: Shutdown, report: WorkerReport
    ) -> None:
        self._worker = worker
        self._trial = trial
        self._values = values
        self._shutdown = shutdown
        self._report = report
        self._held = HeldTrial(worker.study, trial)
        self._has_run = False

    def run(self) -> None:
        """Run the trial and store its outcome; if it is stopped, or this fails, the trial waits again."""
        outcome: Outcome | None = None
        try:
            outcome = self._outcome()
        finally:
            if outcome is None:
                self._held.release()
        if outcome is not None and self._held.end(outcome, self._worker.budget.sweep):
            self._report.counts[outcome.state] += 1

    def _outcome(self) -> Outcome | None:
        worker, trial = self._worker, self._trial
        try:
            params = self._values.get()
            config = worker.compose(trial.number, worker.space.overrides(params))
        except STORAGE_FAILURES:
            raise
        except Exception as error:  # noqa: BLE001 - a trial that cannot be composed has failed like any other
            return of_exception(error)
        deaths = int(trial.user_attrs.get(DEATHS) or 0)
        attempt = earlier_attempts(trial.user_attrs)
        if (original := duplicate_of(worker.study, worker.space, trial, params)) is not None:
            running = RunningTrial(
                trial.number,
                worker.study.study_name,
                params,
                attempt,
                worker.parent_run_id,
                _keep=self.keep,
            )
            return copy_result(running, original, config, worker.recorder)
        job = Job(
            config,
            trial.number,
            worker.study.study_name,
            params,
            attempt,
            worker.parent_run_id,
            values=worker.space.values(params),
        )
        while True:
            outcome = (
                worker.process.run(job, self)
                if worker.recorder is None
                else worker.recorder.run(worker.process, job, self)
            )
            if outcome is None or not outcome.died:
                return self._recorded(outcome, job)
            deaths += 1
            self.keep({DEATHS: deaths})
            if deaths > worker.max_retries or self.must_stop():
                return self._recorded(outcome, job) if deaths > worker.max_retries else None
            log.warning("Trial %d: %s It is run again.", trial.number, outcome.reason)
            job = job.again()

    def _recorded(self, outcome: Outcome | None, job: Job) -> Outcome | None:
        """The outcome, after a failure that the training could not record has its FAILED run."""
        failed = outcome is not None and outcome.state is State.FAIL
        if (
            outcome is not None
            and failed
            and not self._worker.recorder
            and (outcome.died or not self._has_run)
        ):
            run_id = record_failure(job, outcome)
            if run_id is not None:
                self.keep({RUN_ID: run_id})
        return outcome

    def report(self, step: int, value: float) -> bool:
        """Store a value and ask the pruner, but only once per step if an earlier attempt had reached it."""
        study, held = self._worker.study, self._held
        if len(study.directions) > 1:
            return False  # Optuna has no pruning for several objectives
        held.unsaved.values[step] = value
        return bool(held.now_or_later(lambda ours: step > held.judged and should_prune(study, ours)))

    def keep(self, attrs: Mapping[str, Any]) -> None:
        """Store attributes with the trial."""
        self._has_run = self._has_run or RUN_ID in attrs
        self._held.unsaved.attrs.update(attrs)
        self._held.now_or_later(lambda _: None)

    def leads(self, value: float) -> bool:
        """Tell whether no complete trial is better; several objectives have no single best."""
        study = self._worker.study
        if len(study.directions) > 1:
            return True

        def is_best(_: FrozenTrial) -> bool:
            done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            values = [trial.values[0] for trial in done]
            maximize = study.direction is StudyDirection.MAXIMIZE
            return not values or (value >= max(values) if maximize else value <= min(values))

        return self._held.now_or_later(is_best) is not False

    def must_stop(self) -> bool:
        """Tell whether the trial has to stop; signals to other machines that its worker is alive."""
        return self._held.must_end(self._worker.budget.stopped_before) or self._shutdown.must_stop()
