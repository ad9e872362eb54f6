"""What flowersweep uses of Optuna without its promise is there, and does what it is used for."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import create_engine, inspect, text

from flowersweep.doors.optuna_api import (
    engine_storage,
    enqueued_values,
    storage_of,
    study_id,
    table_names,
    trial_id,
    wants_upgrade,
)
from flowersweep.sweep.storage.storage import open_storage
from private_parts import Part, require


def enqueued() -> optuna.trial.FrozenTrial:
    """A trial that waits with a value."""
    study = optuna.create_study()
    study.enqueue_trial({"x": 3})
    return study.trials[0]


def cached(folder: Path) -> optuna.Study:
    """A study in a database, whose storage Optuna wraps."""
    return optuna.create_study(study_name="s", storage=open_storage(None, folder))


PARTS = (
    Part(
        "Study._storage",
        lambda: optuna.create_study()._storage,
        "doors.optuna_api.storage_of",
        "lock a study and put its trials back to WAITING",
    ),
    Part(
        "storages._CachedStorage",
        lambda: optuna.storages._CachedStorage,
        "doors.optuna_api.engine_storage",
        "find the database that is locked",
    ),
    Part(
        "_CachedStorage._backend",
        lambda: optuna.storages._CachedStorage(RDBStorage("sqlite://"))._backend,
        "doors.optuna_api.engine_storage",
        "find the database that is locked",
    ),
    Part(
        'system_attrs["fixed_params"]',
        lambda: enqueued().system_attrs["fixed_params"],
        "doors.optuna_api.enqueued_values",
        "know which points a waiting trial will have",
    ),
    Part(
        "storages._rdb.models.BaseModel",
        table_names,
        "doors.optuna_api.table_names",
        "make MySQL's tables take every text",
    ),
)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_optuna_still_has_it(part: Part) -> None:
    """Each private part is there; the failure says which one is gone, and what needs it."""
    require("optuna", part)


def test_a_trial_goes_back_to_waiting() -> None:
    """By the storage of its study, and by the numbers that this knows study and trial by."""
    study = optuna.create_study()
    trial = study.ask()
    storage_of(study).set_trial_state_values(trial_id(study, trial.number), TrialState.WAITING)
    assert [one.state for one in storage_of(study).get_all_trials(study_id(study))] == [TrialState.WAITING]


def test_numbers_are_those_of_the_study_that_is_meant(tmp_path: Path) -> None:
    """In a storage with several studies, each of whose trials are counted from 0."""
    storage = open_storage(None, tmp_path)
    first, second = (optuna.create_study(study_name=name, storage=storage) for name in ("a", "b"))
    trials = [study.ask() for study in (first, second, second)]
    assert [study_id(study) for study in (first, second)] == [first._study_id, second._study_id]
    assert trial_id(first, 0) == trials[0]._trial_id
    assert [trial_id(second, number) for number in (0, 1)] == [one._trial_id for one in trials[1:]]


def test_the_engine_is_found_behind_the_cache(tmp_path: Path) -> None:
    """Optuna wraps a database; what has no engine is what it is."""
    behind = engine_storage(storage_of(cached(tmp_path)))
    assert isinstance(behind, RDBStorage)
    assert behind.engine.url.database == str(tmp_path / "optuna.db")
    alone = InMemoryStorage()
    assert engine_storage(alone) is alone


def test_values_are_known_before_a_trial_runs() -> None:
    """Those it was enqueued with; a trial that was not has none."""
    assert enqueued_values(enqueued()) == {"x": 3}
    study = optuna.create_study()
    study.ask()
    assert enqueued_values(study.trials[0]) == {}


def test_the_tables_are_those_that_are_made(tmp_path: Path) -> None:
    """All but the one of Alembic, which keeps the version."""
    behind = engine_storage(storage_of(cached(tmp_path)))
    assert isinstance(behind, RDBStorage)
    made = set(inspect(behind.engine).get_table_names())
    assert made - table_names() == {"alembic_version"}
    assert table_names() <= made


@pytest.mark.parametrize(("revision", "older"), [("v2.6.0.a", True), ("v99.0.0.a", False)])
def test_an_older_version_is_told_from_a_newer_one(tmp_path: Path, revision: str, *, older: bool) -> None:
    """By what Optuna itself says when it refuses the tables."""
    cached(tmp_path)
    url = f"sqlite:///{tmp_path}/optuna.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    engine.dispose()
    with pytest.raises(RuntimeError) as caught:
        RDBStorage(url)
    assert wants_upgrade(caught.value) is older
