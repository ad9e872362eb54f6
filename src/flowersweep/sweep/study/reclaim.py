"""Put trials that a dead process left RUNNING back among the waiting ones, in place, so that no number is lost.

If the process had finished the trial, and only the study does not know it yet, the study is told.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from flowersweep.doors.optuna_api import storage_of, trial_id
from flowersweep.sweep.storage.kept import Unsaved, forget, kept
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.study.attributes import FAIL_REASON, LOST, OWNER
from flowersweep.sweep.study.claim import is_abandoned, release
from flowersweep.sweep.study.outcome import Outcome, State, tell

log = logging.getLogger(__name__)

# A trial may exhaust the machine's memory, which also kills its worker: this must not repeat at every start.
# It is more than the retries of a dead training process because `kill -9` and power cuts are not caused by a trial.
MAX_LOST = 3


@dataclass(frozen=True)
class Reclaimed:
    """A trial whose worker died, and how it was handled.

    Attributes:
        number: Of the trial.
        state: WAITING, FAIL if this happened too often, or how it had ended if that was kept on disk.
        reason: Why, in one sentence.
    """

    number: int
    state: TrialState
    reason: str


def reclaim(study: Study) -> list[Reclaimed]:
    """Put running trials of dead processes back among the waiting ones; those of living processes are unchanged.

    Returns:
        The reclaimed trials, by number.
    """
    return locked(storage_of(study), lambda: reclaim_locked(study, study.get_trials(deepcopy=False)))


def reclaim_locked(study: Study, trials: Sequence[FrozenTrial]) -> list[Reclaimed]:
    """`reclaim` for a caller that holds the storage's lock and has read the trials under it."""
    now = time.time()
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    return [_reclaimed(study, trial) for trial in running if is_abandoned(trial.user_attrs, now)]


def _reclaimed(study: Study, trial: FrozenTrial) -> Reclaimed:
    storage, key = storage_of(study), trial_id(study, trial.number)
    if (found := _kept(trial)) is not None:
        path, outcome, unsaved = found
        unsaved.write(storage, key)
        tell(study, Trial(study, key), outcome)
        forget(path)
        log.info("Trial %d had ended before its worker did; its result is stored now.", trial.number)
        return Reclaimed(trial.number, TrialState[outcome.state.value], "Its result had been kept on disk.")
    lost = int(trial.user_attrs.get(LOST) or 0)
    if trial.user_attrs.get(OWNER) is not None:
        lost += 1
        storage.set_trial_user_attr(key, LOST, lost)
    if lost <= MAX_LOST:
        release(study, key)
        return Reclaimed(trial.number, TrialState.WAITING, "Its worker died; it waits to be run again.")
    reason = f"Its worker died {lost} times while running it."
    storage.set_trial_user_attr(key, FAIL_REASON, reason)
    storage.set_trial_state_values(key, TrialState.FAIL)
    return Reclaimed(trial.number, TrialState.FAIL, reason)


def _kept(trial: FrozenTrial) -> tuple[Path, Outcome, Unsaved] | None:
    """How a trial had ended, if that was kept on disk; a damaged file is as good as none."""
    if (found := kept(trial.user_attrs.get(OWNER) or {})) is None:
        return None
    path, told, unsaved = found
    try:
        outcome = Outcome(**{**told, "state": State(told["state"]), "values": tuple(told["values"])})
    except (KeyError, TypeError, ValueError):
        return None
    return path, outcome, unsaved
