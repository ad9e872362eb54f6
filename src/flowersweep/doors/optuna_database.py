"""Wrapper module for Optuna's private API: its database storage, made for many workers of one study.

Optuna makes an object of each value that it reads, which takes five times as long as reading the rows, and commits each
call by itself. Here trials are read as rows, and a step of several calls may be one transaction.

Private: `RDBStorage._get_trials`, its sessions, and the tables of `optuna.storages._rdb.models`. The public storage
offers neither a read of some trials nor a transaction of several calls.
"""

import functools
import json
import threading
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import BindParameter, Connection, Engine, Row, bindparam, inspect, or_, select, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

_UNFINISHED = tuple(state for state in TrialState if not state.is_finished())
# Trials of one question: a statement must not become too long.
_AT_ONCE = 5000

_TRIALS = models.TrialModel.__table__.c
_IDS: BindParameter[Any] = bindparam("ids", expanding=True, literal_execute=True)
_PARAMS, _VALUES, _STEPS, _USER, _SYSTEM = (
    model.__table__.c
    for model in (
        models.TrialParamModel,
        models.TrialValueModel,
        models.TrialIntermediateValueModel,
        models.TrialUserAttributeModel,
        models.TrialSystemAttributeModel,
    )
)
_OVERVIEW = select(_TRIALS.trial_id, _TRIALS.number, _TRIALS.state)
_CONTENT = select(
    _TRIALS.trial_id, _TRIALS.number, _TRIALS.state, _TRIALS.datetime_start, _TRIALS.datetime_complete
).where(_TRIALS.trial_id.in_(_IDS))
# What belongs to trials.
_PARTS = (
    select(_PARAMS.trial_id, _PARAMS.param_name, _PARAMS.param_value, _PARAMS.distribution_json)
    .where(_PARAMS.trial_id.in_(_IDS))
    .order_by(_PARAMS.param_id),
    select(_VALUES.trial_id, _VALUES.value, _VALUES.value_type)
    .where(_VALUES.trial_id.in_(_IDS))
    .order_by(_VALUES.objective),
    select(_STEPS.trial_id, _STEPS.step, _STEPS.intermediate_value, _STEPS.intermediate_value_type).where(
        _STEPS.trial_id.in_(_IDS)
    ),
    select(_USER.trial_id, _USER.key, _USER.value_json).where(_USER.trial_id.in_(_IDS)),
    select(_SYSTEM.trial_id, _SYSTEM.key, _SYSTEM.value_json).where(_SYSTEM.trial_id.in_(_IDS)),
)


class _Sessions:
    """Optuna's sessions: of one thread, perhaps within a transaction that this thread has begun."""

    def __init__(self, engine: Engine) -> None:
        self._own = scoped_session(sessionmaker(bind=engine))
        self._joined = threading.local()

    def __call__(self) -> Session:
        joined: Session | None = getattr(self._joined, "session", None)
        return self._own() if joined is None else joined

    def remove(self) -> None:
        """Forget this thread's session."""
        self._own.remove()

    @contextmanager
    def joined(self, connection: Connection) -> Iterator[None]:
        """Within this block, and in this thread, all sessions are part of the transaction of a connection."""
        # With savepoints: Optuna rolls a session back after errors that it ignores.
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            self._joined.session = session
            try:
                yield
            finally:
                self._joined.session = None


class Database(RDBStorage):
    """Optuna's database storage, which reads trials as rows instead of objects.

    Args:
        url: SQLAlchemy's address.
        engine_kwargs: For its engine.
        skip_table_creation: Whether its tables exist.
    """

    def __init__(self, url: str, engine_kwargs: dict[str, Any], *, skip_table_creation: bool = False) -> None:
        super().__init__(url, engine_kwargs=engine_kwargs, skip_table_creation=skip_table_creation)
        self.sessions = _Sessions(self.engine)
        self.scoped_session = self.sessions  # type: ignore[assignment] # the part of it that Optuna uses

    def overview(self, study_id: int, after: int) -> Sequence[Row[Any]]:
        """Id, number and state of the trials that are not finished, and of those with a larger id.

        Args:
            study_id: The study's.
            after: An id.
        """
        wanted = or_(_TRIALS.state.in_(_UNFINISHED), _TRIALS.trial_id > after)
        return self._rows(_OVERVIEW.where(_TRIALS.study_id == study_id, wanted).order_by(_TRIALS.trial_id))

    def trials(self, ids: Collection[int]) -> list[FrozenTrial]:
        """The trials with these ids."""
        ordered = sorted(ids)
        chunks = (ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE))
        return [trial for chunk in chunks for trial in self._read(chunk)]

    def attributes(self, ids: Collection[int]) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
        """The user and system attributes of trials, by their ids."""
        user, system = (
            {
                key: {one.key: json.loads(one.value_json) for one in rows}
                for key, rows in self._of_trials(query, sorted(ids)).items()
            }
            for query in _PARTS[-2:]
        )
        return user, system

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial."""
        found = self.trials([trial_id])
        return found[0] if found else super().get_trial(trial_id)  # which knows the error

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        rows = self._rows(_OVERVIEW.where(_TRIALS.study_id == study_id))
        return self.trials(
            [
                row.trial_id
                for row in rows
                if (states is None or row.state in states)
                and (row.trial_id > trial_id_greater_than or row.trial_id in included_trial_ids)
            ]
        )

    def _read(self, ids: Sequence[int]) -> list[FrozenTrial]:
        # The trials before what belongs to them: of a finished one, that is complete.
        trials = self._rows(_CONTENT, ids)
        params, values, steps, user, system = (self._of_trials(query, ids) for query in _PARTS)
        found = []
        for row in sorted(trials):
            key = row.trial_id
            distributions = {
                one.param_name: _distribution(one.distribution_json) for one in params.get(key, ())
            }
            found.append(
                FrozenTrial(
                    number=row.number,
                    state=row.state,
                    value=None,
                    values=[_value(one.value, one.value_type) for one in values.get(key, ())] or None,
                    datetime_start=_local(row.datetime_start),
                    datetime_complete=_local(row.datetime_complete),
                    params={
                        one.param_name: distributions[one.param_name].to_external_repr(one.param_value)
                        for one in params.get(key, ())
                    },
                    distributions=distributions,
                    user_attrs={one.key: json.loads(one.value_json) for one in user.get(key, ())},
                    system_attrs={one.key: json.loads(one.value_json) for one in system.get(key, ())},
                    intermediate_values={
                        one.step: _step(one.intermediate_value, one.intermediate_value_type)
                        for one in steps.get(key, ())
                    },
                    trial_id=key,
                )
            )
        return found

    def _of_trials(self, query: Any, ids: Sequence[int]) -> Mapping[int, list[Row[Any]]]:
        grouped: dict[int, list[Row[Any]]] = {}
        for row in self._rows(query, ids):
            grouped.setdefault(row.trial_id, []).append(row)
        return grouped

    def _rows(self, query: Any, ids: Sequence[int] = ()) -> Sequence[Row[Any]]:
        with _create_scoped_session(self.scoped_session) as session:
            return session.execute(query, {"ids": ids} if ids else {}).all()


@functools.lru_cache(maxsize=4096)
def _distribution(packed: str) -> BaseDistribution:
    return json_to_distribution(packed)


def _value(stored: float | None, kind: Any) -> float:
    return models.TrialValueModel.stored_repr_to_value(stored, kind)


def _step(stored: float | None, kind: Any) -> float:
    return models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(stored, kind)


def _local(utc: datetime | None) -> datetime | None:
    """A time as Optuna shows it: that of this machine, without its zone."""
    return None if utc is None else utc.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def has_tables(engine: Engine) -> bool:
    """Tell whether Optuna's tables are complete, in a database that makes them in one transaction; otherwise False."""
    if engine.dialect.name != "postgresql" or not inspect(engine).has_table("alembic_version"):
        return False
    with engine.connect() as connection:
        return bool(connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one())
