"""What MLflow and the disk refuse is told in one sentence."""

import errno
import logging
import os

import pytest
from mlflow.exceptions import MlflowException

from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import quiet, translated

# As MLflow 3.17 with SQLAlchemy 2.1 says it where SQLite finds no room.
AUTOFLUSH = """(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block)
(sqlite3.OperationalError) database or disk is full
[SQL: UPDATE runs SET status=? WHERE runs.run_uuid = ?]"""
ROOM = "make room, or choose another folder with tracking.dir=DIR."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MlflowException(AUTOFLUSH), f"Cannot end run 7: database or disk is full; {ROOM}"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            f"Cannot end run 7: [Errno 28] No space left on device; {ROOM}",
        ),
        (MlflowException("Run 7 not found.\nAsk again."), "Cannot end run 7: Run 7 not found."),
    ],
)
def test_the_reason_is_told_and_what_helps(error: Exception, sentence: str) -> None:
    """Without SQLAlchemy's remarks; where there is no room, the sentence says what to do."""
    with pytest.raises(TrackingError) as caught, translated("end run 7"):
        raise error
    assert str(caught.value) == sentence


def test_databases_print_no_tracebacks() -> None:
    """MLflow logs hundreds of lines beside the error that it raises."""
    quiet()
    assert not logging.getLogger("mlflow.store.db.utils").isEnabledFor(logging.ERROR)
