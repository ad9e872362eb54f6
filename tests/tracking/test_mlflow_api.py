"""What MLflow and the disk refuse is told in one sentence."""

import errno
import logging
import os
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import ELSEWHERE, bare_client, client, quiet, translated
from flowersweep.tracking.store.store import prepare_store

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


def test_the_environment_leads_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever MLflow would take from the environment, a client's store and registry are what it was told."""
    store = prepare_store(tmp_path / "here")
    for name in ELSEWHERE:
        monkeypatch.setenv(name, f"sqlite:///{tmp_path}/elsewhere.db")
    service = client(store.uri)
    assert not set(ELSEWHERE) & os.environ.keys()
    assert bare_client(store.uri)._registry_uri == store.uri
    service.create_registered_model("flowers")
    assert [one.name for one in client(store.uri).search_registered_models()] == ["flowers"]
    assert not (tmp_path / "elsewhere.db").exists()
