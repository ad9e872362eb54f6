"""Stores and studies, whole and broken."""

import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import optuna
import psutil
import pytest

from conftest import MakeConfig
from flowersweep import process
from flowersweep.config import Config
from flowersweep.doctor import results
from flowersweep.doctor.finding import Finding, Verdict, run_check
from flowersweep.doctor.results import check_store, check_studies
from flowersweep.sweep.storage.storage import closing_storage, open_storage
from flowersweep.sweep.study.attributes import OWNER
from flowersweep.sweep.study.claim import claim
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.moved import correct
from flowersweep.tracking.store.store import experiment_id, prepare_store
from servers import mlflow_server


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that has one closed run."""
    folder = tmp_path_factory.mktemp("whole")
    service = client(prepare_store(folder).uri)
    service.set_terminated(service.create_run("0").info.run_id)
    return folder


def _only(name: str, config: Config) -> Finding:
    (finding,) = run_check(name, lambda: check_store(config))
    return finding


def _copied(whole: Path, folder: Path) -> None:
    """A store of its own in another folder, in which nothing leads to the first one."""
    (folder / "mlflow.db").write_bytes((whole / "mlflow.db").read_bytes())
    assert correct(folder / "mlflow.db") is not None


class TestStore:
    def test_one_that_is_not_there_is_not_made(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """Looking leaves no folder behind."""
        assert _only("results", make_config()) == Finding(
            "results", f"{tmp_path}/results/mlflow.db is created by the first run"
        )
        assert not (tmp_path / "results").exists()

    def test_a_good_one_is_counted(self, make_config: MakeConfig, whole: Path) -> None:
        """MLflow's tables are those of the installed version."""
        found = f"1 experiment in {whole}/mlflow.db, created for this version of MLflow"
        assert _only("results", make_config(f"tracking.dir={whole}")) == Finding("results", found)

    def test_a_file_that_is_no_database_is_to_be_mended(
        self, make_config: MakeConfig, tmp_path: Path
    ) -> None:
        """It says which file, and what to do with it."""
        (tmp_path / "mlflow.db").write_text("these are not the pages of a database\n" * 100)

        finding = _only("results", make_config(f"tracking.dir={tmp_path}"))

        assert finding.verdict is Verdict.FIX
        assert finding.found == f"Cannot open {tmp_path}/mlflow.db as a database: file is not a database"
        assert finding.fix == "move the file away or choose another folder"

    def test_a_damaged_database_is_to_be_mended(
        self, make_config: MakeConfig, whole: Path, tmp_path: Path
    ) -> None:
        """Pages in the middle that are overwritten are found, though the file opens."""
        content = bytearray((whole / "mlflow.db").read_bytes())
        content[4096 * 4 :] = b"\xff" * (len(content) - 4096 * 4)
        (tmp_path / "mlflow.db").write_bytes(content)

        finding = _only("results", make_config(f"tracking.dir={tmp_path}"))

        assert finding.verdict is Verdict.FIX
        assert finding.found.startswith(f"{tmp_path}/mlflow.db is damaged (")
        assert finding.fix.endswith(f"sqlite3 {tmp_path}/mlflow.db .recover | sqlite3 recovered.db")

    def test_tables_of_another_version_are_to_be_mended(
        self, make_config: MakeConfig, whole: Path, tmp_path: Path
    ) -> None:
        """Of an older one the command that upgrades them is named, which a newer one's would refuse."""
        _copied(whole, tmp_path)
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
            database.commit()

        finding = _only("results", make_config(f"tracking.dir={tmp_path}"))

        assert finding.verdict is Verdict.FIX
        assert finding.found.endswith("was made by an older version of MLflow")
        assert "python -m mlflow db upgrade" in finding.fix

        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
            database.commit()

        finding = _only("results", make_config(f"tracking.dir={tmp_path}"))

        assert "was made by a newer version of MLflow than 3." in finding.found
        assert "db upgrade" not in finding.fix

    @pytest.mark.slow
    def test_a_deleted_experiment_is_to_be_mended(
        self, make_config: MakeConfig, whole: Path, tmp_path: Path
    ) -> None:
        """As a run would refuse it."""
        _copied(whole, tmp_path)
        store = prepare_store(tmp_path)
        client(store.uri).delete_experiment(experiment_id(store, "gone"))
        config = make_config(f"tracking.dir={tmp_path}", "tracking.experiment=gone")

        counted, deleted = run_check("results", lambda: check_store(config))

        assert (counted.verdict, deleted.verdict) == (Verdict.FINE, Verdict.FIX)
        assert deleted.found == f"Experiment 'gone' is deleted in {store.uri}"
        assert "python -m mlflow experiments restore --experiment-id" in deleted.fix

    def test_a_run_of_a_dead_process_is_a_note(
        self, make_config: MakeConfig, whole: Path, tmp_path: Path
    ) -> None:
        """It is told, and left to the next run."""
        _copied(whole, tmp_path)
        service = client(f"sqlite:///{tmp_path}/mlflow.db")
        start = process.identity()[process.START_TAG].rsplit(" ", 1)[0]
        service.create_run("0", tags={**process.identity(), process.START_TAG: f"{start} 1"})
        service.create_run("0", tags=process.identity())

        finding = _only("results", make_config(f"tracking.dir={tmp_path}"))

        assert finding.verdict is Verdict.NOTE
        assert finding.found.endswith("; 1 run RUNNING although the process has died")
        fix = f"the next run closes them as KILLED, or: python -m flowersweep doctor --fix tracking.dir={tmp_path}"
        assert finding.fix == fix

    def test_a_folder_that_was_moved_is_to_be_mended(
        self, make_config: MakeConfig, whole: Path, tmp_path: Path
    ) -> None:
        """With the command that fixes it."""
        (tmp_path / "mlflow.db").write_bytes((whole / "mlflow.db").read_bytes())
        config = make_config(f"tracking.dir={tmp_path}")

        moved, counted = check_store(config)

        assert (moved.verdict, counted.verdict) == (Verdict.FIX, Verdict.FINE)
        assert moved.found == f"moved or copied from {whole}, where MLflow still searches for files"
        assert moved.fix == f"python -m flowersweep doctor --fix tracking.dir={tmp_path}"

    def test_a_server_that_does_not_answer_is_to_be_mended(self, make_config: MakeConfig) -> None:
        """Within seconds."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            uri = f"http://127.0.0.1:{closed.getsockname()[1]}"

        finding = _only("results", make_config(f"tracking.uri={uri}"))

        assert finding.verdict is Verdict.FIX
        assert f"Cannot use {uri} as a tracking store" in finding.found
        assert finding.fix == "is it running and is the address right?"

    @pytest.mark.slow
    def test_a_server_that_answers_is_fine(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """A real MLflow server."""
        with mlflow_server(tmp_path / "server") as served:
            finding = _only("results", make_config(f"tracking.uri={served.uri}"))

        assert finding == Finding(
            "results", f"1 experiment in {served.uri}, created for this version of MLflow"
        )

    @pytest.mark.skipif(sys.platform != "linux", reason="a folder that not even root can write to")
    def test_a_read_only_folder_is_to_be_mended(self, make_config: MakeConfig) -> None:
        """It says how to choose another one."""
        finding = _only("results", make_config("tracking.dir=/sys/flowersweep"))

        assert finding.verdict is Verdict.FIX
        assert finding.found.startswith("/sys/flowersweep cannot be written to (")
        assert finding.fix.endswith("choose another folder with tracking.dir=PATH")

    def test_a_network_file_system_is_to_be_mended(
        self, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SQLite's locks do not work there; the rest is looked at all the same."""
        monkeypatch.setattr(results, "network_file_system", lambda _: "nfs4")

        first, second = check_store(make_config())

        assert (first.check, first.verdict) == ("file system", Verdict.FIX)
        assert "is on nfs4" in first.found
        assert second.verdict is Verdict.FINE


class TestStudies:
    def test_without_a_sweep_there_are_none(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """And none are made."""
        (finding,) = check_studies(make_config(), None)

        assert finding.found == f"none yet; the first sweep creates sqlite:///{tmp_path}/results/optuna.db"
        assert not (tmp_path / "results").exists()

    @pytest.mark.slow
    @pytest.mark.parametrize("storage", ["sqlite:///{}/optuna.db", "journal:{}/j"])
    def test_trials_of_dead_processes_are_counted(
        self, make_config: MakeConfig, tmp_path: Path, storage: str
    ) -> None:
        """One died, one waits; a study at which somebody works, and one that is done, are not named."""
        config, url = make_config(f"tracking.dir={tmp_path}"), storage.format(tmp_path)
        opened = open_storage(url, tmp_path)
        left, busy, done = (optuna.create_study(storage=opened, study_name=name) for name in "abc")
        lost = left.ask()
        claim(lost)
        start = process.identity()[process.START_TAG].rsplit(" ", 1)[0]
        lost.set_user_attr(OWNER, {**lost.user_attrs[OWNER], process.START_TAG: f"{start} 1"})
        left.enqueue_trial({})
        claim(busy.ask())
        done.tell(done.ask(), 1.0)

        (finding,) = check_studies(config, url)

        assert finding.verdict is Verdict.NOTE
        assert finding.found == f"3 in {url}; unfinished: a (1 of a process that died, 1 waiting)"

    @pytest.mark.slow
    def test_no_connection_stays_open(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """The database may be moved or replaced afterwards."""
        with closing_storage(open_storage(None, tmp_path)) as storage:
            optuna.create_study(storage=storage)
        list(check_studies(make_config(f"tracking.dir={tmp_path}"), None))

        assert not [file for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))]

    def test_a_file_that_is_no_database_is_to_be_mended(
        self, make_config: MakeConfig, tmp_path: Path
    ) -> None:
        """It says which setting names another one."""
        (tmp_path / "optuna.db").write_text("these are not the pages of a database\n" * 100)
        config = make_config(f"tracking.dir={tmp_path}")

        (finding,) = run_check("studies", lambda: check_studies(config, None))

        assert finding.verdict is Verdict.FIX
        assert "file is not a database" in finding.found
        assert "hydra.sweeper.storage" in finding.fix
