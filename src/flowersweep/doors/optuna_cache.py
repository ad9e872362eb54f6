"""Wrapper module for Optuna's private API: its cache of a database, made for many workers of one study.

Optuna reads all trials that have not ended at each call that needs any trial: several times for one question, for which
all other workers wait. Here

- of the trials that have not ended, only those are read whose state is asked for;
- a step under the storage's lock reads each trial once, because nobody else writes meanwhile.

Private: `_CachedStorage` with its tables. Public storages have no cache.
"""

import copy
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, _CachedStorage
from optuna.storages._cached_storage import _StudyInfo
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection

from flowersweep.doors.optuna_database import Database

_ENDED = frozenset(state for state in TrialState if state.is_finished())


@dataclass
class _Known:
    """What is known about the trials of a study.

    Attributes:
        newest: The largest id.
        open: Number and state by id, of those that have not ended.
        unread: The ids of those that have ended since they were read, or were not read yet.
    """

    newest: int = -1
    open: dict[int, tuple[int, TrialState]] = field(default_factory=dict)
    unread: set[int] = field(default_factory=set)


class _Step(threading.local):
    """The step under the storage's lock that a thread is taking.

    Attributes:
        fresh: The ids of trials that are in the cache as they are in the database; None outside of steps.
        listed: Those of which only the values that they have reported may be older; None where a step is not one
            transaction, so that others may see a trial with some of its parameters.
        written: Those that the step has changed.
        known: The ids of the studies of which the states of all trials are known.
    """

    def __init__(self) -> None:
        self.fresh: set[int] | None = None
        self.listed: set[int] | None = None
        self.written: set[int] = set()
        self.known: set[int] = set()

    def begin(self, *, alone: bool, is_transaction: bool) -> None:
        """Begin a step."""
        self.fresh = set() if alone else None
        self.listed = set() if alone and is_transaction else None
        self.written, self.known = set(), set()


class StudyCache(_CachedStorage):
    """Optuna's cache of a database.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database
        self._known: dict[int, _Known] = {}
        self._step = _Step()
        # Other threads must not see what a step has not committed.
        self._turn = threading.RLock()

    @contextmanager
    def step(self, connection: Connection | None, *, alone: bool) -> Iterator[None]:
        """Within this block, and in this thread, trials are read once if nobody else writes.

        Of trials that run elsewhere, `get_all_trials` then returns the values that they had reported when they were last
        read outside of such a step: no sampler uses them, and they are most of what there is to read.

        Args:
            connection: Has begun the transaction of which the step is a part; it is committed at the end. None for a
                transaction of each call.
            alone: Whether nobody else writes.
        """
        with self._turn:
            self._step.begin(alone=alone, is_transaction=connection is not None)
            try:
                if connection is None:
                    yield
                else:
                    with self._database.sessions.joined(connection):
                        yield
                    connection.commit()
            except BaseException as error:
                self._forget()  # what was written in the step may be undone
                if isinstance(error, Exception) and connection is not None and connection.invalidated:
                    # Optuna tries once more, without the transaction, and shows only what SQLAlchemy says of that.
                    raise ConnectionError("the connection to the database was lost") from None
                raise
            finally:
                self._step.fresh = None

    def _forget(self) -> None:
        with self._lock:
            for read in (
                self._known,
                self._studies,
                self._trial_id_to_study_id_and_number,
                self._study_id_and_number_to_trial_id,
            ):
                read.clear()

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 (Optuna's signature)
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials in their order."""
        with self._turn, self._lock:
            study = self._studies.setdefault(study_id, _StudyInfo())
            known = self._known.setdefault(study_id, _Known())
            self._look(study_id, known)
            self._read(study_id, known, states)
            hidden = {number for number, state in known.open.values() if not _is_in(state, states)}
            hidden |= {self._trial_id_to_study_id_and_number.get(one, (0, -1))[1] for one in known.unread}
            trials = [
                trial
                for number, trial in sorted(study.trials.items())
                if number not in hidden and _is_in(trial.state, states)
            ]
            return copy.deepcopy(trials) if deepcopy else trials

    def _look(self, study_id: int, known: _Known) -> None:
        """Read the states of the trials, without their content."""
        if self._step.fresh is not None and study_id in self._step.known:
            return
        rows = self._database.overview(study_id, known.newest)
        is_open = {row.trial_id: (row.number, row.state) for row in rows if not row.state.is_finished()}
        known.unread |= {row.trial_id for row in rows if row.state.is_finished()}
        known.unread = (known.unread | known.open.keys()) - is_open.keys()
        known.open = is_open
        known.newest = max([known.newest, *(row.trial_id for row in rows)])
        self._step.known.add(study_id)

    def _read(self, study_id: int, known: _Known, states: Container[TrialState] | None) -> None:
        """Read the content of the trials whose state is asked for, unless it is known."""
        fresh = self._step.fresh
        wanted = {key for key, (_, state) in known.open.items() if _is_in(state, states)}
        if fresh is not None:
            wanted -= fresh | (self._step.listed or set())
            wanted -= self._listed(study_id, known, wanted)
        if states is None or any(state in states for state in _ENDED):
            wanted |= known.unread
            known.unread = set()
        trials = self._database.trials(wanted) if wanted else []
        self._add_trials_to_cache(study_id, trials)
        for trial in trials:
            if trial.state.is_finished():
                known.open.pop(trial._trial_id, None)
        if fresh is not None:
            fresh |= wanted

    def _listed(self, study_id: int, known: _Known, wanted: set[int]) -> set[int]:
        """Read only the attributes of those running trials whose parameters are known, which do not change any more."""
        if self._step.listed is None:
            return set()
        trials = self._studies[study_id].trials
        running = {}
        for key in wanted & known.open.keys() - self._step.written:
            number, state = known.open[key]
            old = trials.get(number)
            is_same = old is not None and old._trial_id == key and old.state is state is TrialState.RUNNING
            if old is not None and is_same and old.params:
                running[key] = old
        user, system = self._database.attributes(running) if running else ({}, {})
        for key, old in running.items():
            trials[old.number] = renewed = copy.copy(old)  # others may have the old one
            renewed.user_attrs = user.get(key, {})
            renewed.system_attrs = system.get(key, {})
        self._step.listed |= running.keys()
        return set(running)

    def _changed(self, trial_id: int) -> None:
        """Have a trial read again in this step."""
        if self._step.fresh is not None:
            self._step.fresh.discard(trial_id)
            self._step.written.add(trial_id)
            if self._step.listed is not None:
                self._step.listed.discard(trial_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial, not read again if this step has read it."""
        if trial_id in (self._step.fresh or ()):
            with self._lock:
                study_id, number = self._trial_id_to_study_id_and_number[trial_id]
                return copy.deepcopy(self._studies[study_id].trials[number])
        return super().get_trial(trial_id)

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Create a study, perhaps with the id of one that was deleted elsewhere."""
        study_id = super().create_new_study(directions, study_name)
        with self._lock:
            self._known.pop(study_id, None)
        return study_id

    def delete_study(self, study_id: int) -> None:
        """Delete a study, and forget its trials."""
        super().delete_study(study_id)
        self._known.pop(study_id, None)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin a trial."""
        self._step.known.discard(study_id)
        return super().create_new_trial(study_id, template_trial)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Give a trial a value."""
        self._changed(trial_id)
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Change the state of a trial."""
        self._changed(trial_id)
        self._step.known.clear()
        return super().set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Store a value that a trial has reported."""
        self._changed(trial_id)
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store an attribute of a trial."""
        self._changed(trial_id)
        super().set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store an attribute of Optuna's own."""
        self._changed(trial_id)
        super().set_trial_system_attr(trial_id, key, value)


def _is_in(state: TrialState, states: Container[TrialState] | None) -> bool:
    return states is None or state in states


def cached(storage: BaseStorage) -> BaseStorage:
    """A database with its cache; any other storage as it is."""
    return StudyCache(storage) if isinstance(storage, Database) else storage


@contextmanager
def one_step(storage: BaseStorage, held: object, *, alone: bool) -> Iterator[None]:
    """A step under the lock of a storage.

    Args:
        storage: The storage, perhaps within flowersweep's own wrapper.
        held: What holds the lock; the step is part of its transaction if it is a connection.
        alone: As for `StudyCache.step`.
    """
    inner, connection = getattr(storage, "backend", storage), held if isinstance(held, Connection) else None
    with inner.step(connection, alone=alone) if isinstance(inner, StudyCache) else nullcontext():
        yield
