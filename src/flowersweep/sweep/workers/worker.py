"""A worker takes trials of a study one after another and runs them in its training process, until there is no next one.

Workers are independent of each other. Each asks the shared study, so a long trial delays no other worker.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from omegaconf import DictConfig
from optuna import Study
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from flowersweep.doors.optuna_api import storage_of, trial_id
from flowersweep.sweep.storage.lock import storage_lock
from flowersweep.sweep.storage.storage import STORAGE_FAILURES, stopped_in_words
from flowersweep.sweep.study import claim as claims
from flowersweep.sweep.study.attributes import DEATHS, LOST, RUN_ID
from flowersweep.sweep.study.budget import Budget, Stop, next_trial
from flowersweep.sweep.study.grid import Grid
from flowersweep.sweep.study.outcome import Outcome, State, of_exception, tell
from flowersweep.sweep.study.pruner import should_prune
from flowersweep.sweep.workers.duplicate import copy_result, duplicate_of
from flowersweep.sweep.workers.failed_run import record_failure
from flowersweep.sweep.workers.messages import Job
from flowersweep.sweep.workers.shutdown import Shutdown
from flowersweep.sweep.workers.training_process import TrainingProcess
from flowersweep.sweep.workers.trial import RunningTrial

log = logging.getLogger(__name__)


class SearchSpace(Grid, Protocol):
    """The part of a search space that a worker needs."""

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Give a trial its values."""

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
    """

    stop: Stop = Stop.SPENT
    signal_number: int | None = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    pid: int = field(default_factory=os.getpid)


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


def work(worker: Worker) -> WorkerReport:
    """Run trials until the budget is spent, the time is up, too many failed, or the worker is told to stop.

    SIGINT and SIGTERM end the running trial, which then waits for the next sweep. The training process is closed.

    Raises:
        SweepError: No trial can run, or the storage cannot be locked.
        SweepStoppedError: The storage or the disk failed.
    """
    report = WorkerReport()
    with stopped_in_words(), Shutdown(worker.sweeper) as shutdown, worker.process:
        while not shutdown.must_stop():
            worker.process.start()  # it loads its modules while this process asks for a trial
            trial = next_trial(worker.study, worker.space, worker.budget, worker.sampler_for)
            if isinstance(trial, Stop):
                report.stop = trial
                break
            _TrialRun(worker, trial, shutdown, report).run()
        else:
            report.stop, report.signal_number = Stop.INTERRUPTED, shutdown.signal_number
    return report


class _TrialRun:
    """One trial, from its values to its outcome in the study. Also the `Relay` of its training process.

    A worker that was paused may have lost its trial: another machine considered it dead. It then writes nothing more
    about the trial, ends its training and takes another one.
    """

    def __init__(self, worker: Worker, trial: Trial, shutdown: Shutdown, report: WorkerReport) -> None:
        self._worker = worker
        self._trial = trial
        self._shutdown = shutdown
        self._report = report
        self._claim = claims.claim_of(trial)
        self._lost = False
        self._has_run = False
        self._storage, self._key = storage_of(worker.study), trial_id(worker.study, trial.number)
        self._judged = max(self._storage.get_trial(self._key).intermediate_values, default=-1)
        self._last_beat = time.monotonic()

    def run(self) -> None:
        """Run the trial and store its outcome; if it is stopped, or this fails, the trial waits again."""
        study, trial = self._worker.study, self._trial
        outcome: Outcome | None = None
        try:
            outcome = self._outcome()
        finally:
            if outcome is None:
                with self._ours() as ours:
                    if ours:
                        claims.release(study, self._key)
        if outcome is None:
            return
        with self._ours() as ours:
            if not ours:
                return
            tell(study, trial, outcome, self._worker.budget.sweep)
        self._report.counts[outcome.state] += 1

    def _outcome(self) -> Outcome | None:
        worker, trial = self._worker, self._trial
        try:
            with storage_lock(self._storage):  # so that no two trials get the same values
                params = worker.space.suggest(trial)
            config = worker.compose(trial.number, worker.space.overrides(params))
        except (*STORAGE_FAILURES, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a trial that cannot be composed has failed like any other
            return of_exception(error)
        deaths = int(trial.user_attrs.get(DEATHS) or 0)
        attempt = deaths + int(trial.user_attrs.get(LOST) or 0)
        if (original := duplicate_of(worker.study, worker.space, trial, params)) is not None:
            running = RunningTrial(
                trial.number,
                worker.study.study_name,
                params,
                parent_run_id=worker.parent_run_id,
                _keep=self.keep,
            )
            return copy_result(running, original, config)
        job = Job(config, trial.number, worker.study.study_name, params, attempt, worker.parent_run_id)
        while True:
            outcome = worker.process.run(job, self)
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
        if outcome is not None and failed and (outcome.died or not self._has_run):
            run_id = record_failure(job, outcome)
            if run_id is not None:
                self.keep({RUN_ID: run_id})
        return outcome

    def report(self, step: int, value: float) -> bool:
        """Store a value and ask the pruner, but only once per step if an earlier attempt had reached it."""
        study = self._worker.study
        with self._ours() as ours:
            if ours is None or len(study.directions) > 1:
                return False  # Optuna has no pruning for several objectives
            # Trial.report() keeps the first value of a step; of two attempts the second counts.
            self._storage.set_trial_intermediate_value(self._key, step, value)
            ours.intermediate_values[step] = value
            return step > self._judged and should_prune(study, ours)

    def keep(self, attrs: Mapping[str, Any]) -> None:
        """Store attributes with the trial."""
        self._has_run = self._has_run or RUN_ID in attrs
        with self._ours() as ours:
            if ours:
                for name, value in attrs.items():
                    self._trial.set_user_attr(name, value)

    def leads(self, value: float) -> bool:
        """Tell whether no complete trial is better; several objectives have no single best."""
        study = self._worker.study
        if len(study.directions) > 1:
            return True
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        values = [trial.values[0] for trial in done]
        maximize = study.direction is StudyDirection.MAXIMIZE
        return not values or (value >= max(values) if maximize else value <= min(values))

    def must_stop(self) -> bool:
        """Tell whether the trial has to stop; signals to other machines that its worker is alive."""
        if time.monotonic() - self._last_beat >= claims.HEARTBEAT_SECONDS:
            self._last_beat = time.monotonic()
            with self._ours() as ours:
                if ours:
                    claims.beat(self._trial)
        return self._lost or self._shutdown.must_stop()

    @contextmanager
    def _ours(self) -> Iterator[FrozenTrial | None]:
        """Lock the storage for writing about the trial, and yield its current state.

        It yields None if another machine took the trial, and nothing may be written.
        """
        if self._lost:
            yield None
            return
        with storage_lock(self._storage):
            frozen = self._storage.get_trial(self._key)
            self._lost = claims.claim_of(frozen) != self._claim or frozen.state.is_finished()
            if self._lost:
                log.warning(
                    "Trial %d was taken over by another worker; its result here is discarded.",
                    self._trial.number,
                )
            yield None if self._lost else frozen
