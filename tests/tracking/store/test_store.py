"""Tests of flowersweep.tracking.store.store: real SQLite files, real processes, real closed ports."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import alembic.command
import pytest

from flowersweep.errors import TrackingError
from flowersweep.tracking.lookup import best_run_id
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store import store as store_module
from flowersweep.tracking.store.store import Store, experiment_id, known_experiment, prepare_store
from stores import copied

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A SQLite store in a folder whose name is hard on addresses."""
    return prepare_store(tmp_path_factory.mktemp("results") / "with space & #ü")


def content(folder: Path, name: str) -> list[list[str]]:
    """The words of the SQL of a database whose folder had this name when it was made, without the name and times.

    Both sorted, as the migrations make constraints and indices in any order.
    """
    address = (folder.parent / name).as_uri()
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        lines = [line.replace(address, "ADDRESS") for line in database.iterdump()]
    return sorted(sorted(re.sub(r"\b1\d{12}\b", "TIME", line).split()) for line in lines)


class TestSQLite:
    """The store that needs no server."""

    @pytest.mark.slow
    def test_it_is_complete_and_absolute(self, store: Store) -> None:
        """The database and the artifacts lie in the folder asked for, under absolute addresses."""
        assert store.artifact_root is not None
        folder = store.artifact_root.parent
        assert folder.name == "with space & #ü"
        assert store.uri == f"sqlite:///{folder}/mlflow.db"
        assert sorted(path.name for path in folder.iterdir()) == [".mlflow.db.lock", "mlflow.db"]
        assert client(store.uri).get_experiment("0").artifact_location == (store.artifact_root / "0").as_uri()

    @pytest.mark.slow
    def test_opening_it_again_makes_and_changes_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A second call returns the same store without making a database."""
        assert store.artifact_root is not None
        path = store.artifact_root.parent / "mlflow.db"
        before = path.read_bytes()
        monkeypatch.setattr(store_module, "_create_database", lambda *_: pytest.fail("made anew"))
        assert prepare_store(store.artifact_root.parent) == store
        assert prepare_store(Path("elsewhere"), store.uri).uri == store.uri
        assert path.read_bytes() == before

    @pytest.mark.slow
    def test_the_copy_that_other_tests_use_is_the_same(self, tmp_path: Path) -> None:
        """All tables and rows but for times, also in a folder with an odd name."""
        made, template = tmp_path / "made & #ü", tmp_path / "template.db"
        prepare_store(made)
        with copied(template):
            prepare_store(tmp_path / "first")
            prepare_store(tmp_path / "copied & #ü")
        assert template.exists()
        assert content(tmp_path / "copied & #ü", "copied & #ü") == content(made, made.name)

    def test_a_relative_address_is_made_absolute(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """A later change of the current folder cannot move the store."""
        assert store.artifact_root is not None
        monkeypatch.chdir(store.artifact_root.parent.parent)
        assert prepare_store(Path(store.artifact_root.parent.name)) == store

    @pytest.mark.slow
    def test_leftovers_of_a_killed_process_do_no_harm(self, tmp_path: Path) -> None:
        """A half-made draft and an empty database are made anew."""
        (tmp_path / ".mlflow.db.draft").write_bytes(b"half")
        (tmp_path / ".mlflow.db.draft-journal").write_bytes(b"half")
        (tmp_path / "mlflow.db").touch()
        made = prepare_store(tmp_path)
        assert experiment_id(made, "works") == "1"
        assert not list(tmp_path.glob(".mlflow.db.draft*"))

    def test_another_programs_file_is_left_alone(self, tmp_path: Path) -> None:
        """A file that is no database, and a database that is not MLflow's, are refused within a second."""
        path = tmp_path / "mlflow.db"
        path.write_text("not a database, and longer than the header of one" * 20, encoding="utf-8")
        with pytest.raises(TrackingError, match="as a database: file is not a database; move the file away"):
            prepare_store(tmp_path)
        path.unlink()
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE studies (id INTEGER)")
        before = path.read_bytes()
        with pytest.raises(TrackingError, match="is a database, but not one of MLflow;"):
            prepare_store(tmp_path)
        assert path.read_bytes() == before

    @pytest.mark.slow
    def test_a_locked_file_is_not_called_damaged(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever holds it is to be ended; moving the file away would be wrong."""
        prepare_store(tmp_path)
        monkeypatch.setattr(store_module, "BUSY_SECONDS", 1.5)
        with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(
                TrackingError, match=r"locked by another program \(tried for 1.5 seconds\); end that program"
            ):
                prepare_store(tmp_path)

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path: Path) -> None:
        """If a file is in the way of the folder, one sentence says so."""
        (tmp_path / "file").touch()
        with pytest.raises(TrackingError, match=r"Cannot store runs in .*choose another folder"):
            prepare_store(tmp_path / "file" / "results")

    @pytest.mark.slow
    def test_an_older_one_can_be_upgraded_as_the_sentence_says(self, tmp_path: Path) -> None:
        """The command, pasted, keeps a copy and makes the database fit."""
        from mlflow.store.db.utils import _get_alembic_config

        prepare_store(tmp_path)
        # Under another name, as MLflow asks for the version of a database once in a process.
        older = shutil.copy(tmp_path / "mlflow.db", tmp_path / "an older.db")
        uri = f"sqlite:///{older}"
        alembic.command.downgrade(_get_alembic_config(uri), "-1")
        with closing(sqlite3.connect(older)) as database:
            listed = "SELECT name FROM sqlite_master WHERE type = 'table'"
            database.execute("ATTACH ? AS newest", (str(tmp_path / "mlflow.db"),))
            new = database.execute(f"{listed.replace('FROM ', 'FROM newest.')} EXCEPT {listed}").fetchall()
            # Where tables are missing MLflow upgrades by itself.
            for (table,) in new:
                database.execute(f"CREATE TABLE main.{table} (a)")
            with pytest.raises(
                TrackingError, match="an older version of MLflow; upgrade it with: cp "
            ) as caught:
                prepare_store(tmp_path, uri)
            for (table,) in new:
                database.execute(f"DROP TABLE main.{table}")

        command = str(caught.value).partition("upgrade it with: ")[2]
        subprocess.run(command, shell=True, check=True, env=ENV)  # noqa: S602 - it is what a person would paste

        assert prepare_store(tmp_path, uri).uri == uri
        assert (tmp_path / "an older.db.old").exists()

    @pytest.mark.slow
    @pytest.mark.usefixtures("warm")
    def test_four_processes_may_create_it_at_once(self, tmp_path: Path) -> None:
        """Each of four racing processes gets the store, and the one experiment they all ask for."""
        code = (
            "import sys; from pathlib import Path; from flowersweep.tracking.store.store import *;"
            "print(experiment_id(prepare_store(Path(sys.argv[1])), 'shared'))"
        )
        racing = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=ENV,
            )
            for _ in range(4)
        ]
        results = [process.communicate(timeout=120) for process in racing]
        assert [process.returncode for process in racing] == [0] * 4, results
        assert {out.strip() for out, _ in results} == {"1"}
        assert {err for _, err in results} == {""}  # MLflow and alembic keep quiet


class TestRefusals:
    """Addresses at which no run can be kept."""

    @pytest.mark.parametrize(
        "uri", ["mlruns", "./mlruns", "/var/mlruns", "file:///var/mlruns", "ftp://x", ""]
    )
    def test_folders_and_unknown_addresses_are_refused_with_the_remedy(
        self, tmp_path: Path, uri: str
    ) -> None:
        """What MLflow cannot use, or uses no longer, is refused before anything is made."""
        with pytest.raises(
            TrackingError, match=r"leave tracking\.uri out for a SQLite file in tracking\.dir"
        ):
            prepare_store(tmp_path / "results", uri)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
    def test_a_database_in_memory_is_refused(self, tmp_path: Path, uri: str) -> None:
        """Workers in other processes could not see it."""
        with pytest.raises(TrackingError, match="other processes cannot see it"):
            prepare_store(tmp_path, uri)

    @pytest.mark.parametrize("name", ["what?", "100%", "a%20b"])
    def test_characters_that_would_lead_to_another_file_are_refused(self, tmp_path: Path, name: str) -> None:
        """SQLAlchemy reads options and escapes in an address; nothing is made in such a folder."""
        with pytest.raises(TrackingError, match=r"cannot contain '\?' or '%'; rename the folder"):
            prepare_store(tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_a_server_that_is_not_there_is_told_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A closed port is refused in one sentence, after one attempt; MLflow alone would try for minutes."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            uri = f"http://127.0.0.1:{free.getsockname()[1]}"
        here, sleep = threading.get_ident(), time.sleep
        monkeypatch.setattr(
            time,
            "sleep",
            # Threads that earlier tests left behind may sleep.
            lambda seconds: (
                pytest.fail(f"waits for {seconds} s") if threading.get_ident() == here else sleep(seconds)
            ),
        )
        with pytest.raises(TrackingError, match=re.escape(f"Cannot use {uri} as a tracking store")) as caught:
            prepare_store(tmp_path, uri)
        assert "\n" not in str(caught.value)
        assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ

    @pytest.mark.slow
    def test_a_server_that_does_not_answer_is_told_within_seconds(self, tmp_path: Path) -> None:
        """A port that accepts and then says nothing is given up after three seconds, not after MLflow's two minutes."""
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            before = time.perf_counter()
            with pytest.raises(TrackingError, match="is it running and is the address right"):
                prepare_store(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.perf_counter() - before < 110

    def test_a_database_without_its_driver_is_told(self, tmp_path: Path) -> None:
        """The missing driver is named, and the password is not."""
        with pytest.raises(TrackingError, match="postgresql") as caught:
            prepare_store(tmp_path, "postgresql://user:secret@127.0.0.1:1/runs")
        assert "secret" not in str(caught.value)


class TestExperiments:
    """Experiments by name."""

    def test_it_is_created_once_with_its_artifacts_in_the_store(self, store: Store) -> None:
        """The same name gives the same experiment; its folder is readable and below the artifact root."""
        assert store.artifact_root is not None
        number = experiment_id(store, "flowers")
        assert experiment_id(store, "flowers") == number
        location = client(store.uri).get_experiment(number).artifact_location
        assert location == (store.artifact_root / "flowers").as_uri()

    def test_similar_names_do_not_share_a_folder(self, store: Store) -> None:
        """Names that look alike once made safe for a file system keep apart."""
        numbers = [experiment_id(store, name) for name in ("a/b", "a b", "a:b", "../a-b", "a-b")]
        locations = {client(store.uri).get_experiment(number).artifact_location for number in numbers}
        assert len(set(numbers)) == len(locations) == 5
        assert all(".." not in location for location in locations)

    def test_a_deleted_one_is_refused_with_the_remedy(self, store: Store) -> None:
        """MLflow keeps the names of deleted experiments: the error says how to restore it."""
        number = experiment_id(store, "gone")
        client(store.uri).delete_experiment(number)
        with pytest.raises(TrackingError, match=f"mlflow experiments restore --experiment-id {number}"):
            experiment_id(store, "gone")
        client(store.uri).restore_experiment(number)
        assert experiment_id(store, "gone") == number

    def test_looking_for_one_makes_none(self, store: Store) -> None:
        """Nor does looking for the best run in it."""
        assert known_experiment(store, "not yet") is None
        with pytest.raises(TrackingError, match="no finished run in experiment 'not yet'"):
            best_run_id(store, ["not yet"], filter_string="tags.a = 'b'", metric="m", maximize=True)
        assert known_experiment(store, "not yet") is None

    def test_the_best_run_of_several(self, store: Store) -> None:
        """The best run of all experiments counts; a further one may be missing or deleted, the first one not."""
        for name, value in (("of one data set", 0.5), ("of all", 0.75)):
            tracker = MLflowTracker.start(store, name, "r", tags={"a": "b"})
            tracker.metrics({"m": value})
            tracker.end(RunStatus.FINISHED)

        def best(*names: str) -> str:
            return best_run_id(store, names, filter_string="tags.a = 'b'", metric="m", maximize=True)

        assert best("of one data set", "of all") == tracker.run_id
        assert best("not yet", "of all") == tracker.run_id
        client(store.uri).delete_experiment(experiment_id(store, "of all"))
        assert best("of one data set", "of all") != tracker.run_id
        with pytest.raises(TrackingError, match="'of all' is deleted"):
            best("of all", "of one data set")

    def test_a_name_is_needed(self, store: Store) -> None:
        """An empty name is refused."""
        with pytest.raises(TrackingError, match="needs a name"):
            experiment_id(store, " ")
