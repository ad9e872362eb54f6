"""How a run ends when its block is left."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing as closing_database
from contextlib import contextmanager
from typing import Any

import pytest
from mlflow import MlflowClient
from sqlalchemy import Engine, event

from flowersweep.interrupt import Interrupted, interruptible
from flowersweep.tracking.closing import closing
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, experiment_id


@contextmanager
def signal_at_statement(number: int) -> Iterator[list[str]]:
    """SIGTERM arrives when the database has executed this many statements of the block; they are yielded."""
    seen: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        seen.append(statement)
        if len(seen) == number:
            signal.raise_signal(signal.SIGTERM)

    event.listen(Engine, "after_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(Engine, "after_cursor_execute", count)


class TestSignals:
    """A signal within a write to MLflow."""

    @pytest.mark.parametrize("number", [1, 4, 8, 9, 10, 11])
    def test_a_write_is_completed_and_the_run_is_killed(self, store: Store, number: int) -> None:
        """Wherever in the write of an epoch the signal arrives, the epoch is stored whole, and the run is KILLED."""
        run = MLflowTracker.start(store, "contract", "interrupted")
        with pytest.raises(Interrupted), interruptible(), closing(run), signal_at_statement(number) as seen:
            run.metrics({"loss": 0.5, "accuracy": 0.25}, step=1)
        assert len(seen) >= number
        found = client(store.uri).get_run(run.run_id)
        assert (found.info.status, found.data.metrics) == ("KILLED", {"loss": 0.5, "accuracy": 0.25})
        assert run.status is RunStatus.KILLED

    def test_a_run_that_is_being_created_is_killed(self, store: Store) -> None:
        """A signal while a run is created leaves no run RUNNING, although nobody has its id yet."""
        number = experiment_id(store, "interrupted starts")
        for statement in range(1, 40, 4):
            with pytest.raises(Interrupted), interruptible():
                self._interrupted(store, statement)
        statuses = [run.info.status for run in client(store.uri).search_runs([number])]
        assert set(statuses) == {"KILLED"}

    @pytest.mark.parametrize("number", [1, 5, 10, 15, 20, 25, 30, 40, 50])
    def test_a_run_that_is_being_resumed_is_killed(self, store: Store, number: int) -> None:
        """Wherever in it the signal arrives, the run does not stay RUNNING, and can be resumed again."""
        run = MLflowTracker.start(store, "contract", "resumed", tags={"failure": "x"})
        run.end(RunStatus.KILLED)
        with pytest.raises(Interrupted), interruptible(), signal_at_statement(number) as seen:
            MLflowTracker.resume(store, run.run_id, without=["failure"])
        assert len(seen) >= number
        assert client(store.uri).get_run(run.run_id).info.status == "KILLED"

    def test_a_run_whose_creation_was_not_answered_is_killed(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The signal and the failure of the connection come after the store has created it."""
        number = experiment_id(store, "lost answers")
        create = MlflowClient.create_run

        def lost(*given: Any, **named: Any) -> None:
            create(*given, **named)
            signal.raise_signal(signal.SIGTERM)
            raise ConnectionError("lost")

        monkeypatch.setattr(MlflowClient, "create_run", lost)
        with pytest.raises(Interrupted), interruptible():
            MLflowTracker.start(store, "lost answers", "run")
        (run,) = client(store.uri).search_runs([number])
        assert run.info.status == "KILLED"

    def _interrupted(self, store: Store, statement: int) -> None:
        with signal_at_statement(statement):
            run = MLflowTracker.start(store, "interrupted starts", "run")
        with closing(run):
            signal.raise_signal(signal.SIGTERM)


class TestClosing:
    """How a run ends when its block is left."""

    def test_a_block_left_normally_finishes_the_run(self, tracker: MLflowTracker) -> None:
        """Leaving the block ends the run as FINISHED."""
        with closing(tracker) as run:
            run.metrics({"loss": 1.0})
        assert tracker.status is RunStatus.FINISHED

    def test_a_path_without_permission_has_ended_the_run(
        self, tracker: MLflowTracker, no_permission: PermissionError
    ) -> None:
        """Which makes the difference between a failure and bad input."""
        with pytest.raises(PermissionError), closing(tracker):
            raise no_permission
        assert (tracker.status, vars(no_permission)["ended_a_run"]) == (RunStatus.FAILED, True)

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ValueError, RunStatus.FAILED),
            (KeyboardInterrupt, RunStatus.KILLED),
            (SystemExit, RunStatus.FAILED),
        ],
    )
    def test_an_exception_is_passed_on_and_told(
        self, tracker: MLflowTracker, error: type[BaseException], status: RunStatus
    ) -> None:
        """An error ends the run as FAILED, an interruption as KILLED; both go on to the caller."""
        with pytest.raises(error), closing(tracker):
            raise error
        assert tracker.status is status

    def test_a_status_given_inside_stays(self, tracker: MLflowTracker) -> None:
        """A run ended inside the block is left as it is, even if an exception follows."""

        def stop() -> None:
            with closing(tracker):
                tracker.end(RunStatus.KILLED)
                raise ValueError("later")

        with pytest.raises(ValueError, match="later"):
            stop()
        assert tracker.status is RunStatus.KILLED

    def test_a_store_that_fails_hides_no_error(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        """When the run cannot be closed after an error, the error goes on to the caller; the run is closed later."""
        run = MLflowTracker.start(store, "contract", "store fails")
        with closing_database(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as database:
            database.execute("CREATE TRIGGER t BEFORE UPDATE ON runs BEGIN INSERT INTO away VALUES (1); END")
            with pytest.raises(ValueError, match="first"), closing(run):
                raise ValueError("first")
            database.execute("DROP TRIGGER t")
        assert "(no such table: main.away): 1 record of 1 run" in caplog.messages[-1]
        run.settle(0)
        assert client(store.uri).get_run(run.run_id).info.status == "FAILED"

    def test_the_store_knows_the_status(self, store: Store) -> None:
        """FAILED is what the database holds after an exception, with the time of the end."""
        run = MLflowTracker.start(store, "contract", "fails")
        with pytest.raises(ValueError, match="broken"), closing(run):
            raise ValueError("broken")
        with closing_database(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as database:
            rows = database.execute(
                "SELECT status, end_time FROM runs WHERE run_uuid = ?", [run.run_id]
            ).fetchall()
        assert rows[0][0] == "FAILED"
        assert rows[0][1] > 0
