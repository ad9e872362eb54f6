"""How a run ends when its block is left."""

import sqlite3
from contextlib import closing as closing_database

import pytest

from flowersweep.tracking.closing import closing
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store


class TestClosing:
    """How a run ends when its block is left."""

    def test_a_block_left_normally_finishes_the_run(self, tracker: MLflowTracker) -> None:
        """Leaving the block ends the run as FINISHED."""
        with closing(tracker) as run:
            run.metrics({"loss": 1.0})
        assert tracker.status is RunStatus.FINISHED

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
        """When the run cannot be closed after an error, the error goes on to the caller, and the log has the rest."""
        run = MLflowTracker.start(store, "contract", "store fails")
        with closing_database(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as database:
            database.execute("CREATE TRIGGER t BEFORE UPDATE ON runs BEGIN INSERT INTO away VALUES (1); END")
            with pytest.raises(ValueError, match="first"), closing(run):
                raise ValueError("first")
            database.execute("DROP TRIGGER t")
        assert f"Cannot end run {run.run_id}: no such table: main.away" in caplog.text

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
