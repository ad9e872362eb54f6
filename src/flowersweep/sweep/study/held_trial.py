"""A running trial in the hands of its worker: nothing is written about it once another machine has taken it.

A worker that was paused may have lost its trial: another machine considered it dead. While the storage is away, the
training goes on, and what it reports is stored later.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

from optuna import Study
from optuna.trial import FrozenTrial, Trial

from flowersweep.doors.optuna_api import storage_of, study_id, trial_id
from flowersweep.sweep.storage.kept import FOLDER, Unsaved, forget, keep, path_of
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.storage.patience import STORAGE_FAILURES, cause, is_passing, note_recovery, patience
from flowersweep.sweep.storage.stop_message import LOOK_SECONDS, newer_stop
from flowersweep.sweep.storage.storage import close_connections
from flowersweep.sweep.study import claim as claims
from flowersweep.sweep.study.attributes import OWNER
from flowersweep.sweep.study.outcome import Outcome, State, tell

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# While the storage is away, a running trial tries to reach it this often.
RETRY_SECONDS = 10.0
# A worker that has not used its connections for as long closes them: a server allows few, and there may be many workers.
IDLE_SECONDS = 2.0


class HeldTrial:
    """A running trial, and what is known about it and not stored yet.

    Args:
        study: The trial's.
        trial: Claimed by this process.

    Attributes:
        judged: The last step that an earlier attempt had reported; -1 if there is none.
        unsaved: What the study does not have yet; it is written before the next step.
        is_lost: Whether another machine has taken the trial.
    """

    def __init__(self, study: Study, trial: Trial) -> None:
        self._study = study
        self._trial = trial
        self._storage = storage_of(study)
        self._study_key = study_id(study)
        self._key = trial_id(study, trial.number)
        frozen = self._storage.get_trial(self._key)
        self._owner = frozen.user_attrs[OWNER]
        self._claim = claims.claim_of(frozen)
        self.judged: int = max(frozen.intermediate_values, default=-1)
        self.unsaved = Unsaved()
        self.is_lost = False
        self._ending: Outcome | None = None
        self._again: float | None = None
        self._last_beat = self._last_look = time.monotonic()
        self._used: float | None = self._last_beat
        self._is_stopped = False

    def end(self, outcome: Outcome, sweep: str) -> bool:
        """Tell the study how the trial ended; return False if it is lost. Until then, the outcome is kept on disk.

        Args:
            outcome: Of the trial.
            sweep: `Budget.sweep`.
        """
        study, trial = self._study, self._trial
        path = (
            path_of(self._owner) if self._owner.get(FOLDER) and outcome.state is not State.WAITING else None
        )
        if path is not None:
            keep(path, asdict(outcome), self.unsaved)

        self._ending = outcome

        def told(frozen: FrozenTrial) -> bool:
            if not frozen.state.is_finished():
                tell(study, trial, outcome, sweep)
            return True

        is_told = bool(self._if_ours(told))
        if path is not None:
            forget(path)
        return is_told

    def release(self) -> None:
        """Put the trial back among the waiting ones."""
        self._if_ours(lambda _: claims.release(self._study, self._key))

    def must_end(self, stopped_before: str) -> bool:
        """Tell whether the trial is lost or its study was stopped; as often as is due, give a sign of life and look.

        Args:
            stopped_before: `Budget.stopped_before`.
        """
        now = time.monotonic()
        if now - self._last_beat >= claims.HEARTBEAT_SECONDS:
            self._last_beat = now
            self.now_or_later(lambda _: claims.beat(self._trial))
        if now - self._last_look >= LOOK_SECONDS:
            self._last_look = now
            self._is_stopped = self._has_message(stopped_before)
        if self._used is not None and now - self._used >= IDLE_SECONDS:
            self._used = None
            close_connections(self._storage)
        return self.is_lost or self._is_stopped

    def _has_message(self, stopped_before: str) -> bool:
        """Whether the study was stopped since the sweep began; read without the lock, for which many may wait."""
        self._used = time.monotonic()
        try:
            with patience(0):
                attrs = self._storage.get_study_user_attrs(self._study_key)
        except STORAGE_FAILURES:
            return False  # the next report or sign of life says so
        return newer_stop(attrs, stopped_before) is not None

    def now_or_later(self, step: Callable[[FrozenTrial], Answer]) -> Answer | None:
        """Take a step if the trial is still this worker's; return None if it is not, or if the storage is away.

        Args:
            step: Called under the storage's lock with the state of the trial, after what was unsaved is written; it
                may be repeated.
        """
        if self._again is not None and time.monotonic() < self._again:
            return None
        try:
            with patience(0):
                answer = self._if_ours(step)
        except STORAGE_FAILURES as error:
            if not is_passing(error):
                raise
            if self._again is None:
                log.warning(
                    "The storage of the sweep does not respond (%s); trial %d goes on, and what it reports is stored later.",
                    cause(error),
                    self._trial.number,
                )
            self._again = time.monotonic() + RETRY_SECONDS
            return None
        if self._again is not None:
            note_recovery()
            log.warning("The storage of the sweep responds again.")
            self._again = None
        return answer

    def _is_told(self, frozen: FrozenTrial) -> bool:
        """Whether the study has the outcome: stored just before the storage failed, or by who found it on disk."""
        ending = self._ending
        if ending is None or frozen.state.name != ending.state.value:
            return False
        return ending.state is not State.COMPLETE or tuple(frozen.values) == ending.values

    def _if_ours(self, step: Callable[[FrozenTrial], Answer]) -> Answer | None:
        """Write what is not stored yet about the trial, and take a step with its state, under the storage's lock.

        Nothing is done, and None is returned, if another machine took the trial. The step may be repeated.
        """

        def attempt() -> Answer | None:
            frozen = self._storage.get_trial(self._key)
            is_ended = frozen.state.is_finished() and not self._is_told(frozen)
            self.is_lost = claims.claim_of(frozen) != self._claim or is_ended
            if self.is_lost:
                log.warning(
                    "Trial %d was taken over by another worker; its result here is discarded.",
                    self._trial.number,
                )
                return None
            if not frozen.state.is_finished():
                self.unsaved.write(self._storage, self._key)
                frozen.intermediate_values.update(self.unsaved.values)
            return step(frozen)

        if self.is_lost:
            return None
        self._used = time.monotonic()
        answer = locked(self._storage, attempt, alone=False)
        self.unsaved = Unsaved()
        return answer
