"""Tests of the lock that all workers of a storage share."""

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import optuna
import pytest
from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, InMemoryStorage
from sqlalchemy import create_engine

from additions import added
from flowersweep.errors import SweepError
from flowersweep.sweep.storage.lock import engine_lock, storage_lock
from flowersweep.sweep.storage.patience import patience
from flowersweep.sweep.storage.storage import open_storage

_HOLD = """
import sys, time
from pathlib import Path
from flowersweep.sweep.storage.lock import file_lock
with file_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["sqlite", "journal", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
    """A storage of each kind that needs no server."""
    if request.param == "memory":
        return InMemoryStorage()
    return open_storage(None if request.param == "sqlite" else "journal:s.log", tmp_path)


@pytest.fixture(autouse=True)
def _in_tmp_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_at_a_time(storage: BaseStorage) -> None:
    """Of eight threads that add to a number in two steps none loses the addition of another."""
    assert added(lambda: storage, n_threads=8, seconds=0.0005) == 40


def test_studies_own_wrapper_has_the_same_lock(tmp_path: Path) -> None:
    """The wrapper that Optuna puts around a database leads to the lock of the database."""
    storage = open_storage(None, tmp_path)
    study = optuna.create_study(storage=storage)

    with storage_lock(study._storage), pytest.raises(Timeout):
        FileLock(tmp_path / "optuna.db.study.lock").acquire(timeout=0)


def test_a_holder_that_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for too long is told so, and who was told to stop waits a moment; the lock is free when its holder is killed."""
    target = tmp_path / "optuna.db"
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(target)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    monkeypatch.setattr("flowersweep.sweep.storage.lock.LOCK_SECONDS", 0.2)
    with pytest.raises(TimeoutError, match="another process holds the lock"), _lock_of(target):
        pass
    monkeypatch.setattr("flowersweep.sweep.storage.lock.LOCK_SECONDS", 60.0)
    monkeypatch.setattr("flowersweep.sweep.storage.patience._STOP_SECONDS", 0.2)
    with patience(60, lambda: True), pytest.raises(TimeoutError), _lock_of(target):
        pass
    holder.kill()
    holder.communicate()
    with _lock_of(target), pytest.raises(Timeout):
        FileLock(f"{target}.study.lock").acquire(timeout=0)


def _lock_of(target: Path) -> AbstractContextManager[object]:
    return engine_lock(create_engine(f"sqlite:///{target}"))


def test_other_databases_are_refused() -> None:
    """A storage that its users cannot lock together is named, with what can be used."""
    proxy = optuna.storages.GrpcStorageProxy.__new__(optuna.storages.GrpcStorageProxy)
    with pytest.raises(SweepError, match=r"cannot use a GrpcStorageProxy.*use SQLite, PostgreSQL, MySQL"):
        storage_lock(proxy)
