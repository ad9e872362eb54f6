"""Tests of opening storages: defaults, every kind of URL, and what is said about bad ones."""

import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from sqlalchemy import create_engine, text

from flowersweep.doors.optuna_api import engine_storage
from flowersweep.errors import SweepError
from flowersweep.sweep.storage.storage import open_storage, shown, storage_url

_CREATE = """
import sys, time
from pathlib import Path
from flowersweep.sweep.storage.storage import open_storage
time.sleep(max(0, float(sys.argv[2]) - time.time()))
open_storage(None, Path(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def _in_tmp_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


class TestUrl:
    """`storage_url`."""

    @pytest.mark.parametrize(
        ("configured", "expected"),
        [
            (None, "sqlite:///{here}/results/optuna.db"),
            ("sqlite:///other.db", "sqlite:///{here}/other.db"),
            ("sqlite:////abs/other.db", "sqlite:////abs/other.db"),
            ("journal:a/b", "journal:{here}/a/b"),
            ("a/b.log", "journal:{here}/a/b.log"),
            ("/abs/b.journal", "journal:/abs/b.journal"),
            ("mysql+pymysql://u:p@h/db", "mysql+pymysql://u:p@h/db"),
        ],
    )
    def test_is_absolute(self, tmp_path: Path, configured: str | None, expected: str) -> None:
        """Paths are made absolute, so that workers in other folders open the same storage."""
        assert expected.format(here=tmp_path) == storage_url(configured, Path("results"))

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
    def test_memory_is_refused(self, url: str) -> None:
        """A database in memory has no second process."""
        with pytest.raises(SweepError, match="exists in one process only"):
            storage_url(url, Path())

    @pytest.mark.parametrize(
        "url", ["optuna.db", "journal", "nosuch://host/db", "sqlite:/x.db", "postgresql//h"]
    )
    def test_malformed_is_refused(self, url: str) -> None:
        """Something that is no URL is repeated, with examples of what is."""
        with pytest.raises(
            SweepError, match=rf"hydra\.sweeper\.storage={url} is not a storage; use .*sqlite:///"
        ):
            storage_url(url, Path())

    def test_password_is_not_shown(self) -> None:
        """What may be printed has no password in it."""
        assert shown("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
        assert shown("journal:/a/b") == "journal:/a/b"


class TestOpen:
    """`open_storage`."""

    def test_makes_folder_file_and_tables(self, tmp_path: Path) -> None:
        """The default needs nothing to be there, and a second opening finds what the first one made."""
        folder = tmp_path / "not" / "there"
        optuna.create_study(storage=open_storage(None, folder), study_name="s")

        assert (folder / "optuna.db").is_file()
        assert [study.study_name for study in open_storage(None, folder).get_all_studies()] == ["s"]

    def test_sqlite_settings(self, tmp_path: Path) -> None:
        """SQLite has a write-ahead log that is synced at checkpoints, and waits for other writers."""
        storage = engine_storage(open_storage(None, tmp_path))
        assert isinstance(storage, RDBStorage)
        with storage.engine.connect() as connection:
            pragmas = [
                connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout")
            ]

        assert pragmas == ["wal", 1, 2_000]

    def test_journal(self, tmp_path: Path) -> None:
        """A path that ends in .log is a journal."""
        storage = engine_storage(open_storage("a/b.log", tmp_path))

        assert isinstance(storage, JournalStorage)
        assert (tmp_path / "a" / "b.log").is_file()

    def test_no_folder_can_be_made(self, tmp_path: Path) -> None:
        """A path through a file cannot be opened, as database or journal, and that is said in one sentence."""
        (tmp_path / "file").touch()
        for configured in (None, f"journal:{tmp_path}/file/j.log"):
            with pytest.raises(
                SweepError, match=r"(cannot be opened|cannot be used).*(File exists|Not a directory)"
            ):
                open_storage(configured, tmp_path / "file")

    def test_sqlite_on_a_network_file_system(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A SQLite file is refused there with what can be used instead, and nothing is created; a journal is not."""
        mounts = tmp_path / "mounts"
        mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/home {tmp_path}/home nfs4 rw 0 0\n")
        monkeypatch.setattr("flowersweep.hardware._MOUNTS", mounts)
        with pytest.raises(
            SweepError, match=r"home/x/optuna\.db is on nfs4, .*journal:.*optuna\.log, or a server"
        ):
            open_storage(None, tmp_path / "home" / "x")

        assert not (tmp_path / "home").exists()
        assert open_storage("home/optuna.log", tmp_path).get_all_studies() == []

    def test_not_a_database(self, tmp_path: Path) -> None:
        """A file with something else in it is left as it is."""
        path = tmp_path / "optuna.db"
        path.write_text("tulips " * 1000)
        with pytest.raises(SweepError, match="cannot be opened: file is not a database; check that"):
            open_storage(None, tmp_path)

        assert path.read_text() == "tulips " * 1000

    def test_not_a_journal(self, tmp_path: Path) -> None:
        """Neither is a text file taken for a journal."""
        (tmp_path / "notes.log").write_text("tulips\nroses\n")
        with pytest.raises(SweepError, match=r"notes\.log is not a journal of Optuna"):
            open_storage("notes.log", tmp_path)

    def test_database_of_mlflow(self, tmp_path: Path) -> None:
        """Studies do not go into MLflow's database, whose migrations would trip over them."""
        engine = create_engine(f"sqlite:///{tmp_path}/mlflow.db")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE experiments (experiment_id INTEGER)"))
        engine.dispose()
        with pytest.raises(SweepError, match="contains MLflow's tables"):
            open_storage("sqlite:///mlflow.db", tmp_path)

    def test_database_of_another_optuna(self, tmp_path: Path) -> None:
        """Tables of an older version are refused with the command that upgrades them, those of a newer one are not."""
        storage = engine_storage(open_storage(None, tmp_path))
        assert isinstance(storage, RDBStorage)
        with storage.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'v0.9.0.a'"))
        storage.engine.dispose()
        copied = f"cp {tmp_path}/optuna.db {tmp_path}/optuna.db.old && "
        with pytest.raises(SweepError) as caught:
            open_storage(None, tmp_path)
        assert str(caught.value).endswith(
            "was made by an older version of Optuna; upgrade it with: "
            f"{copied}optuna storage upgrade --storage sqlite:///{tmp_path}/optuna.db"
        )

        with storage.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'v9.0.0.a'"))
        storage.engine.dispose()
        with pytest.raises(SweepError, match=r"a newer version of Optuna than 5\.\d.*; update flowersweep"):
            open_storage(None, tmp_path)

    def test_missing_driver(self, tmp_path: Path) -> None:
        """A server whose Python package is not installed is answered with the package's name, not the password."""
        with pytest.raises(SweepError, match="oracledb") as caught:
            open_storage("oracle+oracledb://me:secret@host/db", tmp_path)

        assert "secret" not in str(caught.value)

    @pytest.mark.slow
    def test_four_processes_create_it_at_once(self, tmp_path: Path) -> None:
        """Processes that find no database all end up with the same good one."""
        start = str(time.time() + 2)
        command = [sys.executable, "-c", _CREATE, str(tmp_path), start]
        processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
        errors = [process.communicate()[1].decode() for process in processes]

        assert [process.returncode for process in processes] == [0, 0, 0, 0], errors
        assert open_storage(None, tmp_path).get_all_studies() == []
