"""What MLflow and the disk refuse is told in one sentence."""

import errno
import logging
import os
import re
import sqlite3
import threading
import time
from contextlib import closing
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import mlflow
import mlflow.store.model_registry.dbmodels.models  # it adds the tables of registered models to those of runs
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.db.base_sql_model import Base as SqlModel

from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import (
    ADDRESSES,
    ELSEWHERE,
    EXPERIMENT_KIND,
    SHARED_VIEW,
    bare_client,
    client,
    create_database,
    environment,
    is_of_older_version,
    quiet,
    translated,
)
from flowersweep.tracking.store.store import prepare_store
from private_parts import Part, require

# As MLflow 3.17 with SQLAlchemy 2.1 says it where SQLite finds no room.
AUTOFLUSH = """(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block)
(sqlite3.OperationalError) database or disk is full
[SQL: UPDATE runs SET status=? WHERE runs.run_uuid = ?]"""
ROOM = "free some space, or choose another folder with tracking.dir=DIR."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MlflowException(AUTOFLUSH), f"Cannot end run 7: database or disk is full, DISK; {ROOM}"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            f"Cannot end run 7: [Errno 28] No space left on device; {ROOM}",
        ),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/proc/x"),
            f"Cannot end run 7: [Errno 28] No space left on device: '/proc/x', DISK; {ROOM}",
        ),
        (MlflowException("Run 7 not found.\nAsk again."), "Cannot end run 7: Run 7 not found."),
    ],
)
def test_the_reason_is_told_and_what_helps(error: Exception, sentence: str) -> None:
    """Without SQLAlchemy's remarks; where there is no room, the sentence names the disk and says what to do."""
    with pytest.raises(TrackingError) as caught, translated("end run 7"):
        raise error
    assert re.sub(r"the disk at /\S* \([^)]* MB free\)", "DISK", str(caught.value)) == sentence


def test_databases_print_no_tracebacks() -> None:
    """MLflow logs hundreds of lines beside the error that it raises."""
    quiet()
    assert not logging.getLogger("mlflow.store.db.utils").isEnabledFor(logging.ERROR)


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def scripts() -> str:
    """The scripts of MLflow's pages."""
    folder = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.js")))


class TestPrivateParts:
    """What flowersweep uses of MLflow without its promise."""

    PARTS = (
        Part(
            "store.tracking.sqlalchemy_store.SqlAlchemyStore",
            lambda: import_module("mlflow.store.tracking.sqlalchemy_store").SqlAlchemyStore,
            "tracking.mlflow_api.create_database",
            "make a database that is never seen half-made",
        ),
        Part(
            "store/db_migrations",
            lambda: next(Path(mlflow.__file__).parent.glob("store/db_migrations/env.py")),
            "tracking.mlflow_api.is_of_older_version",
            "tell a database of an older version from one of a newer",
        ),
        *(
            Part(
                f"{module}.{name}",
                lambda module=module, name=name: name in vars(import_module(module)) or None,  # type: ignore[misc]
                "tracking.mlflow_api.chosen",
                "leave the store and the experiment that a trial has set",
            )
            for module, name in (
                ("mlflow.tracking._tracking_service.utils", "_tracking_uri"),
                ("mlflow.tracking.fluent", "_active_experiment_id"),
            )
        ),
        *(
            Part(
                f"{table}.{column}",
                lambda table=table, column=column: SqlModel.metadata.tables[table].columns[column],  # type: ignore[misc]
                "tracking.mlflow_api.ADDRESSES",
                "correct the addresses of results that were moved",
            )
            for table, column in ADDRESSES
        ),
    )

    @pytest.mark.parametrize("part", PARTS, ids=str)
    def test_mlflow_still_has_it(self, part: Part) -> None:
        """Each private part is there; the failure says which one is gone, and what needs it."""
        require("mlflow", part)

    @pytest.mark.parametrize(
        "words",
        [
            *EXPERIMENT_KIND.values(),
            SHARED_VIEW,
            "viewStateShareKey",
            "workflowType",
            "machine_learning",
            "columnOrder",
            "columnWidths",
        ],
    )
    def test_the_pages_still_read_it(self, words: str, scripts: str) -> None:
        """Tags and addresses are undocumented; the pages' own scripts name them."""
        assert words in scripts, (
            f"The pages of mlflow {version('mlflow')} no longer know {words!r}, which flowersweep.tracking.mlflow_api needs so "
            "that an experiment opens with the best run on top."
        )

    @pytest.mark.slow
    def test_a_database_is_made_and_closed(self, tmp_path: Path) -> None:
        """It has MLflow's tables, an experiment that lies in the given folder, and no journal of an open connection."""
        create_database(f"sqlite:///{tmp_path}/mlflow.db", (tmp_path / "files").as_uri())
        assert [one.name for one in tmp_path.glob("mlflow.db*")] == ["mlflow.db"]
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            found = database.execute("SELECT name, artifact_location FROM experiments").fetchall()
        assert found == [("Default", f"{(tmp_path / 'files').as_uri()}/0")]

    @pytest.mark.slow
    @pytest.mark.parametrize(("revision", "older"), [("451aebb31d03", True), ("ffffffffffff", False)])
    def test_an_older_version_is_told_from_a_newer_one(
        self, tmp_path: Path, revision: str, *, older: bool
    ) -> None:
        """By what MLflow itself says when it refuses the tables."""
        create_database(f"sqlite:///{tmp_path}/mlflow.db", tmp_path.as_uri())
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
            database.commit()
        with pytest.raises(MlflowException) as caught:
            bare_client(f"sqlite:///{tmp_path}/mlflow.db").search_experiments()
        assert is_of_older_version(caught.value) is older
        assert is_of_older_version(MlflowException("something else")) is None

    @pytest.mark.slow
    def test_a_lock_is_given_up_soon(self, tmp_path: Path) -> None:
        """MLflow sets 20 seconds in every session, with the statement that is replaced."""
        store = prepare_store(tmp_path)
        service = bare_client(store.uri)
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            with pytest.raises(MlflowException, match="locked"):
                service.create_experiment("e")
            assert time.monotonic() - began < 19


def test_the_environment_is_put_back_whatever_other_threads_set() -> None:
    """Blocks of two threads come one after the other, so neither puts back the value of the other."""
    name = "FLOWERSWEEP_TEST_VALUE"
    inside, seen = threading.Event(), []

    def other() -> None:
        inside.wait(5)
        with environment({name: "other"}):
            seen.append(os.environ[name])

    thread = threading.Thread(target=other)
    thread.start()
    with environment({name: "first"}):
        inside.set()
        thread.join(0.1)
        assert os.environ[name] == "first"
    thread.join(5)

    assert seen == ["other"]
    assert name not in os.environ
