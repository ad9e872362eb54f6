"""Tests of waiting for a storage: for how long, for what, and what is said."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from flowersweep.sweep.storage import storage as storages
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.storage.patience import cause, is_passing, patience, patiently
from flowersweep.sweep.storage.storage import open_storage

Answer = TypeVar("Answer")


def _of_sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = code
    return error


def _of_server(text: str) -> OperationalError:
    return OperationalError("SELECT 1", {}, Exception(text))


def _from(error: Exception) -> StorageInternalError:
    wrapped = StorageInternalError("An exception is raised during the commit.")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (_of_sqlite(sqlite3.SQLITE_BUSY), True),
        (_of_sqlite(sqlite3.SQLITE_BUSY | (2 << 8)), True),
        (_of_sqlite(sqlite3.SQLITE_FULL), True),
        (_of_sqlite(sqlite3.SQLITE_READONLY), False),
        (OperationalError("", {}, _of_sqlite(sqlite3.SQLITE_BUSY)), True),
        (OperationalError("", {}, _of_sqlite(sqlite3.SQLITE_ERROR)), False),
        (_from(_of_server("the database system is shutting down")), True),
        (_from(_of_server('role "ada" does not exist')), False),
        (IntegrityError("", {}, Exception("UNIQUE constraint failed")), False),
        (_from(DataError("", {}, Exception("integer out of range"))), False),
        (_from(ProgrammingError("", {}, Exception('relation "trials" does not exist'))), False),
        (_from(InternalError("", {}, Exception("current transaction is aborted"))), False),
        (_of_server("(1142, \"INSERT command denied to user 'ada'@'localhost' for table 'trials'\")"), False),
        (_of_server("(1213, 'Deadlock found when trying to get lock; try restarting transaction')"), True),
        (InterfaceError("", {}, Exception("connection already closed")), True),
        (TimeoutError("another process holds the lock"), True),
        (OSError(28, "No space left on device"), True),
        (OSError(2, "No such file or directory"), False),
        (StorageInternalError("no cause"), False),
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_is_waited_for(error: Exception, *, passing: bool) -> None:
    """Locks, full disks and absent servers pass; wrong names, rights and contents do not."""
    assert is_passing(error) is passing


def _failing(n_times: int, calls: list[int]) -> Callable[[], str]:
    def call() -> str:
        calls.append(len(calls))
        if len(calls) <= n_times:
            raise _of_server("connection refused")
        return "answer"

    return call


def test_waits_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line when the wait begins, one when it ends; a step is repeated as a whole by the outermost call."""
    calls: list[int] = []
    call = _failing(2, calls)
    with patience(30):
        assert patiently(lambda: patiently(call)) == "answer"

    assert len(calls) == 3
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "The storage of the sweep does not respond (connection refused)",
        "The storage of the sweep responds again after 0 s.",
    ]


def test_a_single_attempt_without_patience(caplog: pytest.LogCaptureFixture) -> None:
    """Who reads a study outside of a sweep does not wait, nor does another thread of it."""
    calls: list[int] = []
    with pytest.raises(OperationalError):
        patiently(_failing(1, calls))
    failures: list[str] = []
    others: list[int] = []

    def other() -> None:
        try:
            patiently(_failing(1, others))
        except OperationalError:
            failures.append(f"{len(others)} call")

    with patience(30):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    assert (len(calls), failures, caplog.text) == (1, ["1 call"], "")


def test_ends_with_its_time_and_at_once_when_stopped() -> None:
    """The error comes through when the time is over, and within a moment after the process was told to stop."""
    began = time.monotonic()
    with patience(0.3), pytest.raises(OperationalError):
        patiently(_failing(99, []))
    assert 0.3 <= time.monotonic() - began < 5
    until = time.monotonic() + 0.3
    with patience(3600, lambda: time.monotonic() > until), pytest.raises(OperationalError):
        patiently(_failing(99, []))
    assert time.monotonic() < until + 5


@pytest.mark.slow
def test_every_call_of_a_study_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creating, asking, suggesting, reporting and telling each outlast a locked database, and happen once."""
    monkeypatch.setattr(storages, "SQLITE_BUSY_SECONDS", 0.01)
    storage = open_storage(None, tmp_path)
    path = tmp_path / "optuna.db"
    with patience(60):
        study = _while_locked(path, lambda: optuna.create_study(storage=storage, study_name="s"))
        trial = _while_locked(path, lambda: locked(storage, study.ask))
        x = _while_locked(path, lambda: trial.suggest_float("x", 0, 1))
        _while_locked(path, lambda: trial.report(0.5, 1))
        _while_locked(path, lambda: trial.set_user_attr("a", "b"))
        _while_locked(path, lambda: study.tell(trial, x))
        best = optuna.load_study(study_name="s", storage=storage).best_trial

    assert (best.number, best.params, best.value, best.user_attrs) == (0, {"x": x}, x, {"a": "b"})
    assert best.intermediate_values == {1: 0.5}
    assert len(study.trials) == 1


def _while_locked(path: Path, call: Callable[[], Answer]) -> Answer:
    """Call while another program writes to the file for some time."""
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")

    def release() -> None:
        holder.execute("ROLLBACK")
        holder.close()

    timer = threading.Timer(0.15, release)
    timer.start()
    try:
        return call()
    finally:
        timer.join()


@pytest.mark.parametrize(
    "text",
    [
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        'FATAL:  too many connections for role "sweeper"',
        "FATAL: no more connections allowed (max_client_conn)",
        "(1040, 'Too many connections')",
    ],
)
def test_a_server_without_a_free_connection_is_waited_for(text: str) -> None:
    """With one sentence that says what to do, whichever server or pooler it is."""
    error = _from(_of_server(text))
    assert is_passing(error)
    assert (
        cause(error) == "its server allows no more connections; raise that limit, or put a pooler before it"
    )
