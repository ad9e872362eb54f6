"""The budget of a sweep and its next trial; exact, however many workers and sweeps share a study."""

import itertools
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from operator import itemgetter
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from flowersweep.doors.optuna_api import storage_of, trial_id
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.storage.patience import STORAGE_FAILURES, patience
from flowersweep.sweep.storage.stop_message import latest_stop, newer_stop
from flowersweep.sweep.study.attributes import FAIL_REASON, INFRASTRUCTURE_FAILURE, OWNER
from flowersweep.sweep.study.claim import claim, new_claim, release
from flowersweep.sweep.study.grid import Grid, enqueue_point, points_had
from flowersweep.sweep.study.reclaim import reclaim_locked
from flowersweep.texts import counted


class Stop(StrEnum):
    """Why there is no next trial."""

    SPENT = "all trials are done or running"
    TIMEOUT = "the time is up"
    FAILURES = "too many trials failed"
    INFRASTRUCTURE = "the infrastructure of the trials failed"
    INTERRUPTED = "interrupted"
    STOPPED = "the study was stopped"


@dataclass(frozen=True)
class Budget:
    """The budget of a sweep; the same for all its workers.

    Attributes:
        n_trials: Total number of trials of the study, including failed and pruned ones; None for every point of the grid.
        is_grid: Whether trials are the points of the grid in order, and end with them. A point that a trial has had,
            however it was chosen, is not run again.
        deadline: Seconds since the epoch after which no trial is started; None for no limit.
        max_failures: The sweep stops when this many trials have failed since it started; None for no limit.
        max_failures_in_a_row: The same for consecutive failures.
        max_failure_rate: The same for this fraction of the last `window` trials, if more of them have failed; None for no limit.
        window: The number of trials of which that is a fraction.
        failed_before: Failed trials of the study when the sweep started; see `begun`.
        sweep: A unique name: an infrastructure failure may concern one machine, and then only its sweep ends.
        stopped_before: The id of the latest message that had stopped the study when the sweep started; empty for none.
    """

    n_trials: int | None
    is_grid: bool = False
    deadline: float | None = None
    max_failures: int | None = None
    max_failures_in_a_row: int | None = None
    max_failure_rate: float | None = None
    window: int = 1
    failed_before: int = 0
    sweep: str = ""
    stopped_before: str = ""
    _ends: float | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.n_trials is None and not self.is_grid:
            raise ValueError("A budget needs a number of trials, or a grid that ends.")
        self._start_clock()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_clock()  # that of another machine is another one

    def _start_clock(self) -> None:
        """Measure the time that is left by a clock that nobody sets."""
        left = None if self.deadline is None else self.deadline - time.time()
        object.__setattr__(self, "_ends", None if left is None else time.monotonic() + left)

    @property
    def is_over(self) -> bool:
        """Whether the time is up; if the machine's clock is set meanwhile, this changes nothing."""
        return self._ends is not None and time.monotonic() >= self._ends

    @classmethod
    def begun(
        cls,
        study: Study,
        n_trials: int | None,
        *,
        is_grid: bool = False,
        timeout: float | None = None,
        max_failures: int | None = None,
        max_failures_in_a_row: int | None = None,
        max_failure_rate: float | None = None,
        window: int = 1,
    ) -> "Budget":
        """The budget of a sweep that starts now.

        Args:
            study: Its previous failures do not count.
            n_trials: As the attribute.
            is_grid: As the attribute.
            timeout: Seconds from now after which no trial is started.
            max_failures: As the attribute.
            max_failures_in_a_row: As the attribute.
            max_failure_rate: As the attribute.
            window: As the attribute.
        """
        deadline = None if timeout is None else time.time() + timeout
        before = len(_failed(study.get_trials(deepcopy=False)))
        stopped = latest_stop(study.user_attrs)
        return cls(
            n_trials,
            is_grid,
            deadline,
            max_failures,
            max_failures_in_a_row,
            max_failure_rate,
            window,
            before,
            uuid.uuid4().hex,
            "" if stopped is None else stopped.id,
        )


def next_trial(
    study: Study,
    space: Grid,
    budget: Budget,
    sampler_for: Callable[[int], BaseSampler] | None = None,
    folder: Path | None = None,
    *,
    suggest: Callable[[Trial], object] = lambda _: None,
) -> Trial | Stop:
    """Take the next trial of a study, or return why there is none.

    Waiting trials (enqueued ones, and those of dead workers) come first. The trial belongs to this process.

    Args:
        study: The worker's own object; its sampler is replaced if `sampler_for` is given.
        space: Its grid is used if the budget is one.
        budget: Of the sweep.
        sampler_for: Creates the sampler of a trial from its number.
        folder: Where this process keeps the end of the trial until the study has it; None for nowhere.
        suggest: Gives the trial its values in the same step, so that no two trials get the same ones and all are read
            once; may be called again if the storage fails.
    """
    owner = new_claim(folder, budget.sweep)
    sampler_for = sampler_for or (lambda _: study.sampler)

    def step() -> Trial | Stop:
        taken = _next_trial(study, space, budget, sampler_for, owner)
        if isinstance(taken, Trial):
            suggest(taken)
        return taken

    try:
        return locked(storage_of(study), step)
    except BaseException:
        _give_back(study, owner)
        raise


def _give_back(study: Study, owner: Mapping[str, Any]) -> None:
    """Release a trial that was taken but has not got its values, unless the storage fails again."""

    def step() -> None:
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get(OWNER) == owner:
                release(study, trial_id(study, trial.number))

    with suppress(*STORAGE_FAILURES), patience(0):
        locked(storage_of(study), step)


def _next_trial(
    study: Study,
    space: Grid,
    budget: Budget,
    sampler_for: Callable[[int], BaseSampler],
    owner: Mapping[str, Any],
) -> Trial | Stop:
    trials = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.user_attrs.get(OWNER) == owner:  # the storage failed just after it had stored the claim
            study.sampler = sampler_for(trial.number)
            return Trial(study, trial_id(study, trial.number))
    if reclaim_locked(study, trials):
        trials = study.get_trials(deepcopy=False)
    if stop := _stop(trials, space, budget):
        return stop
    if newer_stop(study.user_attrs, budget.stopped_before) is not None:
        return Stop.STOPPED
    waiting = [trial.number for trial in trials if trial.state is TrialState.WAITING]
    if budget.is_grid and not waiting:
        enqueue_point(study, space, trials)
    study.sampler = sampler_for(waiting[0] if waiting else len(trials))
    asked = study.ask()
    claim(asked, owner)
    return asked


def remaining(study: Study, space: Grid, budget: Budget) -> int:
    """The number of trials that are still to be started, including waiting ones."""
    return _remaining(study.get_trials(deepcopy=False), space, budget)


def failure_summary(study: Study, budget: Budget) -> str:
    """Say how many trials failed since the sweep started, and why the last ones did."""
    failed = _by_end(_failed(study.get_trials(deepcopy=False)))[budget.failed_before :]
    last = failed[-3:]
    told = f"{counted(len(failed), 'trial')} {'has' if len(failed) == 1 else 'have'} failed, so the sweep was stopped"
    lines = [f"Trial {trial.number}: {trial.user_attrs.get(FAIL_REASON, 'unknown')}" for trial in last]
    return "\n".join([f"{told}; the last ones:" if len(failed) > len(last) else f"{told}:", *lines])


def infrastructure_summary(study: Study, budget: Budget) -> str:
    """Say which trial failed because of its infrastructure, and how to resume the sweep."""
    trial, reason = _infrastructure_failures(study.get_trials(deepcopy=False), budget)[-1]
    return f"Trial {trial.number} could not be run and waits; the same command resumes the sweep. {reason}"


def _infrastructure_failures(trials: Sequence[FrozenTrial], budget: Budget) -> list[tuple[FrozenTrial, str]]:
    """The trials of this sweep that failed because of their infrastructure, and the reasons."""
    found = [(trial, trial.user_attrs.get(INFRASTRUCTURE_FAILURE) or {}) for trial in trials]
    return [(trial, told["reason"]) for trial, told in found if told and told["sweep"] == budget.sweep]


def _stop(trials: Sequence[FrozenTrial], space: Grid, budget: Budget) -> Stop | None:
    if _infrastructure_failures(trials, budget):
        return Stop.INFRASTRUCTURE
    if _too_many_failures(trials, budget):
        return Stop.FAILURES
    if _remaining(trials, space, budget) <= 0:
        return Stop.SPENT
    if budget.is_over:
        return Stop.TIMEOUT
    return None


def _remaining(trials: Sequence[FrozenTrial], space: Grid, budget: Budget) -> int:
    waiting = sum(trial.state is TrialState.WAITING for trial in trials)
    counts = [] if budget.n_trials is None else [budget.n_trials - (len(trials) - waiting)]
    if budget.is_grid:
        indices, others = points_had(trials, space)
        counts.append(space.size - len(indices) - len(others) + waiting)
    return min(counts)


def _too_many_failures(trials: Sequence[FrozenTrial], budget: Budget) -> bool:
    since = len(_failed(trials)) - budget.failed_before
    if budget.max_failures is not None and since >= budget.max_failures:
        return True
    if budget.max_failures_in_a_row is None and budget.max_failure_rate is None:
        return False
    ended = _by_end([trial for trial in trials if trial.state.is_finished()])
    if budget.max_failure_rate is not None:
        failed = min(len(_failed(ended[-budget.window :])), since)
        if failed > budget.max_failure_rate * budget.window:
            return True
    if budget.max_failures_in_a_row is None:
        return False
    row = sum(1 for _ in itertools.takewhile(lambda trial: trial.state is TrialState.FAIL, reversed(ended)))
    return min(row, since) >= budget.max_failures_in_a_row


def _failed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state is TrialState.FAIL]


def _by_end(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    ended = [(trial.datetime_complete, trial.number, trial) for trial in trials if trial.datetime_complete]
    return [trial for _, _, trial in sorted(ended, key=itemgetter(0, 1))]
