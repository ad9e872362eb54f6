"""Results that were moved or copied: real databases, whose files MLflow finds again."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flowersweep.commands.parsing.common import results_store
from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.moved import correct, old_folders
from flowersweep.tracking.store.store import Store, prepare_store

NAMES = ("plain", "with space", "50%25 off?", "grün #1", "o'clock [x]")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results with a run that has a file, a saved model, a registered version and a deleted experiment."""
    folder = tmp_path_factory.mktemp("old") / "results with space ü"
    store = prepare_store(folder)
    service = client(store.uri)
    tracker = MLflowTracker.start(store, "flowers/one", "a run")
    tracker.text("hello", "notes/hello.txt")
    tracker.end(RunStatus.FINISHED)
    experiment = service.get_run(tracker.run_id).info.experiment_id
    model = service.create_logged_model(experiment, name="model", source_run_id=tracker.run_id)
    (folder / "MLmodel").write_text("a model", encoding="utf-8")
    service.log_model_artifact(model.model_id, str(folder / "MLmodel"))
    service.finalize_logged_model(model.model_id, "READY")
    service.create_registered_model("m")
    service.create_model_version(
        "m", source=model.artifact_location, run_id=tracker.run_id, model_id=model.model_id
    )
    service.delete_experiment(service.create_experiment("gone", (folder / "artifacts/gone").as_uri()))
    return folder


def addresses(folder: Path) -> list[str]:
    """All addresses of files in a database."""
    columns = {
        "experiments": "artifact_location",
        "runs": "artifact_uri",
        "logged_models": "artifact_location",
        "model_versions": "source",
    }
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        tables = [f"SELECT {column} FROM {table}" for table, column in columns.items()]  # noqa: S608 - names above
        found = [row[0] for query in tables for row in database.execute(query)]
        return [*found, *(row[0] for row in database.execute("SELECT storage_location FROM model_versions"))]


def read_back(store: Store, to: Path) -> str:
    """What the only run's file says, by MLflow."""
    (run,) = client(store.uri).search_runs(["1"])
    return Path(client(store.uri).download_artifacts(run.info.run_id, "notes/hello.txt", str(to))).read_text()


class TestWhereItIs:
    @pytest.mark.slow
    def test_results_in_their_place_are_left_alone(self, made: Path) -> None:
        """Nothing is found, corrected or copied."""
        before = (made / "mlflow.db").read_bytes()

        assert old_folders(made / "mlflow.db") == []
        assert correct(made / "mlflow.db") is None
        assert (made / "mlflow.db").read_bytes() == before
        assert not list(made.glob("*before*"))

    @pytest.mark.slow
    def test_a_link_to_the_place_is_no_move(self, made: Path, tmp_path: Path) -> None:
        """As /tmp is one to /private/tmp on macOS."""
        (tmp_path / "link").symlink_to(made)

        assert old_folders(tmp_path / "link" / "mlflow.db") == []
        assert prepare_store(tmp_path / "link").uri.endswith("mlflow.db")


class TestMoved:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    def test_it_is_refused_and_corrected(self, made: Path, tmp_path: Path, name: str) -> None:
        """One sentence with the command; after it MLflow finds the files, and nothing leads to the old place."""
        new, old = tmp_path / name, tmp_path / "was"
        shutil.copytree(made, old)
        assert correct(old / "mlflow.db") is not None
        (old / "mlflow-before-fix.db").unlink()
        old.rename(new)
        before = (new / "mlflow.db").read_bytes()

        assert old_folders(new / "mlflow.db") == [str(old)]
        if "%" not in name:  # which no store may have in its address
            with pytest.raises(
                TrackingError, match=r"python -m flowersweep doctor --fix [\"']?tracking\.dir="
            ):
                prepare_store(new)
        assert not old.exists()

        done = correct(new / "mlflow.db")

        assert done is not None
        assert (done.addresses, done.old) == (7, (str(old),))
        assert done.kept.read_bytes()[100:] == before[100:]
        assert all(one.startswith((new / "artifacts").as_uri() + "/") for one in addresses(new))
        assert old_folders(new / "mlflow.db") == []
        if "%" not in name:
            assert read_back(prepare_store(new), tmp_path) == "hello"

    def test_a_copy_does_not_write_into_the_original(self, made: Path, tmp_path: Path) -> None:
        """The original is there, so that MLflow would find its files and add to them."""
        shutil.copytree(made, tmp_path / "copy")
        there = sorted(made.rglob("*"))

        with pytest.raises(TrackingError, match="moved or copied from"):
            prepare_store(tmp_path / "copy")
        with pytest.raises(TrackingError, match="moved or copied from"):  # predict, report and the others
            results_store({"tracking.dir": str(tmp_path / "copy")})
        done = correct(tmp_path / "copy" / "mlflow.db")
        store = prepare_store(tmp_path / "copy")
        MLflowTracker.start(store, "flowers/one", "another").text("new", "new.txt")

        assert done is not None
        assert len(list((tmp_path / "copy").rglob("new.txt"))) == 1
        assert sorted(made.rglob("*")) == there

    @pytest.mark.slow
    def test_what_is_in_the_old_place_only_stays_there(self, made: Path, tmp_path: Path) -> None:
        """A run whose files were left behind is read from where they are."""
        shutil.copytree(made, tmp_path / "copy")
        (run,) = (tmp_path / "copy/artifacts").glob("flowers*/*/artifacts/notes")
        shutil.rmtree(run.parents[1])

        correct(tmp_path / "copy" / "mlflow.db")

        assert read_back(prepare_store(tmp_path / "copy"), tmp_path) == "hello"

    def test_a_second_copy_of_the_database_has_another_name(self, made: Path, tmp_path: Path) -> None:
        """Nothing is overwritten."""
        for name in ("one", "two"):
            shutil.copytree(made if name == "one" else tmp_path / "one", tmp_path / name)
            done = correct(tmp_path / name / "mlflow.db")

        assert done is not None
        assert done.kept.name == "mlflow-before-fix-2.db"


class TestElsewhereOnPurpose:
    @pytest.mark.parametrize(
        "location",
        [
            "s3://bucket/artifacts/1",
            "mlflow-artifacts:/1",
            "http://127.0.0.1/artifacts/1",
            "dbfs:/artifacts/1",
            "/no/such/folder/mlruns/1",
            "file://server/artifacts/1",
        ],
    )
    def test_other_addresses_are_left_alone(self, made: Path, tmp_path: Path, location: str) -> None:
        """Buckets, servers, and folders that no store of this kind would have made."""
        self._with(made, tmp_path, location)

        assert old_folders(tmp_path / "mlflow.db") == []

    def test_a_folder_that_is_there_is_left_alone(self, made: Path, tmp_path: Path) -> None:
        """Files on another disk, by tracking.dir beside tracking.uri."""
        (tmp_path / "disk/artifacts/flowers").mkdir(parents=True)
        self._with(made, tmp_path, (tmp_path / "disk/artifacts/flowers").as_uri())

        assert old_folders(tmp_path / "mlflow.db") == []

    @pytest.mark.parametrize(
        "location", ["file:///C:/Users/me/mlruns/artifacts/x", "C:\\Users\\me\\mlruns\\artifacts\\x"]
    )
    def test_results_of_windows_are_moved_ones(self, made: Path, tmp_path: Path, location: str) -> None:
        """Their addresses mean nothing here."""
        self._with(made, tmp_path, location)

        done = correct(tmp_path / "mlflow.db")

        assert done is not None
        assert done.old[0].endswith("C:/Users/me/mlruns")
        assert set(addresses(tmp_path)) >= {(tmp_path / "artifacts/x").as_uri()}

    def test_an_explicit_address_is_taken_as_it_is(self, made: Path, tmp_path: Path) -> None:
        """Who names the database decides where files are."""
        shutil.copy(made / "mlflow.db", tmp_path)

        assert (
            prepare_store(tmp_path, f"sqlite:///{tmp_path}/mlflow.db").artifact_root == tmp_path / "artifacts"
        )

    def _with(self, made: Path, folder: Path, location: str) -> None:
        """A copy of the database all of whose experiments have one location."""
        shutil.copy(made / "mlflow.db", folder)
        with closing(sqlite3.connect(folder / "mlflow.db")) as database:
            database.execute("UPDATE experiments SET artifact_location = ?", (location,))
            database.commit()
