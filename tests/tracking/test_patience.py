"""Tests of flowersweep.tracking.patience, on stores that are really locked."""

import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing as closed
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowersweep import process
from flowersweep.errors import TrackingError
from flowersweep.interrupt import Interrupted, interruptible
from flowersweep.tracking import mlflow_api
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import close_orphaned_runs
from flowersweep.tracking.patience import cleaning_up, patience, patiently, waited
from flowersweep.tracking.store.store import Store, experiment_id, prepare_store

# Less than the 20 seconds that MLflow lets SQLite wait for a lock, and enough for a busy machine.
LONG = 19.0
# A process with the id of this one, which lives no more.
EARLIER = process.identity()[process.START_TAG].rsplit(" ", 1)[0] + " 1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A SQLite store shared by the tests of this file."""
    return prepare_store(tmp_path_factory.mktemp("results"))


@pytest.fixture
def tracker(store: Store, monkeypatch: pytest.MonkeyPatch) -> MLflowTracker:
    """An open run, in whose store SQLite itself waits for a lock hardly at all."""
    monkeypatch.setattr(mlflow_api, "BUSY_MILLISECONDS", 20)
    return MLflowTracker.start(store, "locks", "a run")


@contextmanager
def locked(store: Store, seconds: float | None = None) -> Iterator[None]:
    """Another program locks the store's file: for so many seconds, or else for the block."""
    path = Path(store.uri.removeprefix("sqlite:///"))
    with closed(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        if seconds is None:
            yield
            other.execute("ROLLBACK")
            return
        timer = threading.Timer(seconds, lambda: other.execute("ROLLBACK"))
        timer.start()
        yield
        timer.join()


@contextmanager
def started(timer: threading.Timer) -> Iterator[None]:
    """A timer that runs from the beginning of the block, and not beyond its end."""
    timer.start()
    yield
    timer.cancel()


@pytest.mark.slow
def test_a_run_is_started_once_after_a_lock(store: Store, tracker: MLflowTracker) -> None:
    """Starting and resuming wait too, and so does closing what dead processes left; one run comes of it."""
    number = experiment_id(store, "starts")
    with locked(store, 0.4):
        first = MLflowTracker.start(store, "starts", "first", tags={"flowersweep.process_start": EARLIER})
    with locked(store, 0.4):
        closed_runs = close_orphaned_runs(store, [number])
    with locked(store, 0.4):
        MLflowTracker.resume(store, first.run_id)
    found = client(store.uri).search_runs([number])
    assert [run.info.run_id for run in found] == [first.run_id] == closed_runs
    assert found[0].info.status == "RUNNING"
    assert tracker.status is None


@pytest.mark.slow
def test_a_lock_at_the_start_is_waited_for(store: Store) -> None:
    """A program that begins while the file is locked for a moment begins all the same."""
    path = Path(store.uri.removeprefix("sqlite:///"))
    with locked(store, 1.5):
        assert prepare_store(path.parent) == store


@pytest.mark.slow
def test_the_end_of_patience_is_told_in_one_sentence(store: Store) -> None:
    """A lock that stays ends the call after the time that was given, with what to do."""
    began = time.monotonic()
    with locked(store), patience(0.3), pytest.raises(TrackingError) as caught:
        experiment_id(store, "locks")
    assert 0.3 <= time.monotonic() - began < LONG
    assert str(caught.value) == (
        f"Cannot look for experiment 'locks' in {store.uri}: database is locked (tried for 0.3 seconds); end the program "
        "that keeps the store locked, or start its server again."
    )


def test_an_interruption_ends_the_wait(store: Store, tracker: MLflowTracker) -> None:
    """SIGTERM while a lock is waited for is an interruption, not a failure of the store."""
    began = time.monotonic()
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    with interruptible(), started(timer), locked(store), pytest.raises(Interrupted):
        client(store.uri).set_tag(tracker.run_id, "a", "b")
    assert 0.5 <= time.monotonic() - began < LONG


@pytest.mark.slow
def test_an_interruption_during_sqlites_own_wait_is_heard(
    store: Store, tracker: MLflowTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite waits for a lock in C, where no signal is handled: a second, not MLflow's twenty."""
    monkeypatch.undo()
    began = time.monotonic()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    with interruptible(), started(timer), locked(store), pytest.raises(Interrupted):
        client(store.uri).set_tag(tracker.run_id, "a", "b")
    assert time.monotonic() - began < LONG


def test_what_is_no_lock_is_told_at_once(store: Store) -> None:
    """A run that does not exist is not waited for."""
    began = time.monotonic()
    with pytest.raises(TrackingError, match="not found"):
        MLflowTracker.resume(store, "0" * 32)
    assert time.monotonic() - began < LONG


def test_a_failed_call_may_be_repeated_in_another_way() -> None:
    """After a failure it is `again` that is called, whatever number of times, never the first call."""
    calls: list[str] = []

    def attempt(name: str, succeeds_at: int) -> int:
        calls.append(name)
        if len(calls) < succeeds_at:
            raise ConnectionResetError
        return len(calls)

    assert patiently(lambda: attempt("first", 3), again=lambda: attempt("again", 3)) == 3
    assert calls == ["first", "again", "again"]


def test_blocks_of_less_patience_are_nested() -> None:
    """The shortest time wins, and comes to its end with its block."""
    with patience(5):
        with patience(30), patience(1), translated("x"):
            assert waited() == " (tried for 1 seconds)"
        assert waited() == " (tried for 5 seconds)"
    with patience(0):
        assert not waited()


def test_cleaning_up_takes_no_errors_place(caplog: pytest.LogCaptureFixture) -> None:
    """What the store refuses on the way out is a warning, unless the store was the reason anyway."""

    def refuse(sentence: str) -> None:
        raise TrackingError(sentence)

    caplog.set_level(logging.INFO)
    with cleaning_up(ValueError()):
        refuse("Cannot end run 7.")
    with cleaning_up(TrackingError()):
        refuse("Cannot end run 8.")
    assert caplog.messages == ["Cannot end run 7."]
    with pytest.raises(KeyError), cleaning_up(ValueError()):
        raise KeyError
