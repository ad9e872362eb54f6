"""Tests of flowersweep.tracking.mlflow_tracker: what MLflow holds after a run has logged."""

import json
import math
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import NOTE, RunStatus
from flowersweep.tracking.store.store import Store, prepare_store

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def artifacts(store: Store, tracker: MLflowTracker) -> Path:
    """Return the folder of a run's artifacts."""
    return Path(unquote(urlparse(client(store.uri).get_run(tracker.run_id).info.artifact_uri).path))


class TestStart:
    """How a run begins."""

    def test_run_tells_who_made_it_and_where(self, store: Store) -> None:
        """Name, user, source, process, description and own tags are there, as the fluent API sets them."""
        run = MLflowTracker.start(store, "flowers", "first", tags={"trial": 3, NOTE: "# About\nText"})
        tags = client(store.uri).get_run(run.run_id).data.tags
        assert {"mlflow.user", "mlflow.source.name"} <= tags.keys()
        assert tags["mlflow.runName"] == "first"
        assert tags["mlflow.source.type"] == "LOCAL"
        assert tags["mlflow.note.content"] == "# About\nText"
        assert tags["trial"] == "3"
        assert tags["flowersweep.pid"] == str(os.getpid())

    def test_children_are_found_by_their_parent(self, store: Store, tracker: MLflowTracker) -> None:
        """A child names its parent; a parent that does not exist is refused and no run is made."""
        child = MLflowTracker.start(store, "flowers", "child", parent_run_id=tracker.run_id)
        service = client(store.uri)
        number = service.get_run(child.run_id).info.experiment_id
        found = service.search_runs([number], f"tags.`mlflow.parentRunId` = '{tracker.run_id}'")
        assert [run.info.run_id for run in found] == [child.run_id]
        before = len(service.search_runs([number]))
        with pytest.raises(TrackingError, match="start a run under"):
            MLflowTracker.start(store, "flowers", "orphan", parent_run_id="0" * 32)
        assert len(service.search_runs([number])) == before

    def test_children_are_in_the_experiment_of_their_parent(
        self, store: Store, tracker: MLflowTracker
    ) -> None:
        """Whatever the name they were started with, which creates no experiment."""
        child = MLflowTracker.start(store, "another", "child", parent_run_id=tracker.run_id)
        service = client(store.uri)
        parent, own = (service.get_run(one.run_id).info.experiment_id for one in (tracker, child))
        assert own == parent
        assert service.get_experiment_by_name("another") is None

    def test_no_run_is_active_and_no_address_is_set(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two runs at once do not disturb each other, and MLflow's global state is as before."""
        import mlflow

        monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        one, two = (MLflowTracker.start(store, "flowers", name) for name in ("one", "two"))
        one.metrics({"loss": 1.0})
        two.metrics({"loss": 2.0})
        values = [client(store.uri).get_run(run.run_id).data.metrics["loss"] for run in (one, two)]
        assert values == [1.0, 2.0]
        assert mlflow.active_run() is None
        assert "MLFLOW_RUN_ID" not in os.environ
        assert "MLFLOW_TRACKING_URI" not in os.environ

    def test_resuming_opens_an_ended_run(self, store: Store, tracker: MLflowTracker) -> None:
        """A resumed run is RUNNING and takes more metrics; one that does not exist or is deleted is refused."""
        tracker.metrics({"loss": 2.0}, step=0)
        tracker.end(RunStatus.KILLED)
        again = MLflowTracker.resume(store, tracker.run_id)
        assert client(store.uri).get_run(again.run_id).info.status == "RUNNING"
        again.metrics({"loss": 1.0}, step=1)
        again.end(RunStatus.FINISHED)
        history = client(store.uri).get_metric_history(again.run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(0, 2.0), (1, 1.0)]
        client(store.uri).delete_run(again.run_id)
        with pytest.raises(TrackingError, match="it is deleted"):
            MLflowTracker.resume(store, again.run_id)
        with pytest.raises(TrackingError, match="Cannot resume run 0000"):
            MLflowTracker.resume(store, "0" * 32)


class TestValues:
    """Params, metrics and tags."""

    def test_more_params_than_one_request_takes(self, store: Store, tracker: MLflowTracker) -> None:
        """250 params arrive although MLflow takes 100 at a time."""
        tracker.params({f"group.key{number}": number for number in range(250)})
        params = client(store.uri).get_run(tracker.run_id).data.params
        assert len(params) == 250
        assert params["group.key249"] == "249"

    def test_long_values_are_cut_and_kept_whole_beside(self, store: Store, tracker: MLflowTracker) -> None:
        """A text over MLflow's limit says that it was cut and lies whole among the artifacts."""
        tracker.params({"overrides": "x" * 9000})
        tracker.tags({"traceback": "y" * 9000})
        data = client(store.uri).get_run(tracker.run_id).data
        assert len(data.params["overrides"]) == 6000
        assert data.params["overrides"].endswith("[cut from 9000 characters]")
        assert len(data.tags["traceback"]) == 8000
        folder = artifacts(store, tracker) / "long_values"
        assert (folder / "overrides.txt").read_text(encoding="utf-8") == "x" * 9000
        assert (folder / "traceback.txt").read_text(encoding="utf-8") == "y" * 9000

    def test_metrics_keep_their_steps(self, store: Store, tracker: MLflowTracker) -> None:
        """Each epoch is one point; NaN stays NaN; without a step the point is at 0."""
        for epoch in range(3):
            tracker.metrics({"loss": 1.0 / (epoch + 1), "val_accuracy": math.nan}, step=epoch)
        tracker.metrics({"best/val_accuracy": 0.9})
        service = client(store.uri)
        history = service.get_metric_history(tracker.run_id, "loss")
        assert [(metric.step, metric.value) for metric in history] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
        assert math.isnan(service.get_run(tracker.run_id).data.metrics["val_accuracy"])
        assert service.get_metric_history(tracker.run_id, "best/val_accuracy")[0].step == 0


class TestArtifacts:
    """Files of a run."""

    def test_files_lie_where_they_were_named(
        self, store: Store, tracker: MLflowTracker, tmp_path: Path
    ) -> None:
        """Text, JSON, picture, figure and file are found again with their content."""
        weights = tmp_path / "weights.bin"
        weights.write_bytes(b"\x00\x01")
        picture = np.full((4, 6, 3), (255, 0, 7), np.uint8)
        tracker.text("Grüße\n", "notes/a.txt")
        tracker.json({"ä": [1, 2]}, "a.json")
        tracker.image(picture, "previews/a.png")
        tracker.figure(Figure(figsize=(2, 1), dpi=100), "plots/a.png")
        tracker.file(weights, "copies")
        tracker.file(weights)
        folder = artifacts(store, tracker)
        assert (folder / "notes/a.txt").read_text(encoding="utf-8") == "Grüße\n"
        assert json.loads((folder / "a.json").read_text(encoding="utf-8")) == {"ä": [1, 2]}
        with Image.open(folder / "previews/a.png") as preview:
            assert np.array_equal(np.asarray(preview), picture)
        with Image.open(folder / "plots/a.png") as plot:
            assert plot.size == (200, 100)
        assert (folder / "copies/weights.bin").read_bytes() == (folder / "weights.bin").read_bytes()
        assert store.artifact_root is not None
        assert folder.is_relative_to(store.artifact_root / "flowers")

    def test_datasets_can_be_searched_for(self, store: Store, tracker: MLflowTracker) -> None:
        """Name, digest, source, context, schema and profile are held as MLflow's own data sets hold them."""
        tracker.dataset(
            "flower_photos",
            digest="0123456789" * 6,
            source="https://example.org/flowers.tgz",
            context="training",
            picture_shape=(180, 180, 3),
            profile={"pictures": np.int64(2936)},
        )
        tracker.dataset("mine", digest="abc", source="/data/mine", context="validation")
        service = client(store.uri)
        run = service.get_run(tracker.run_id)
        first, second = sorted(run.inputs.dataset_inputs, key=lambda used: str(used.dataset.name))
        assert first.dataset.digest == ("0123456789" * 6)[:36]
        assert json.loads(first.dataset.source) == {"url": "https://example.org/flowers.tgz"}
        assert json.loads(first.dataset.profile) == {"pictures": 2936}
        assert (
            '"shape": [-1, 180, 180, 3]' in json.loads(first.dataset.schema)["mlflow_tensorspec"]["features"]
        )
        assert [(tag.key, tag.value) for tag in first.tags] == [("mlflow.data.context", "training")]
        assert json.loads(second.dataset.source) == {"uri": "/data/mine"}
        found = service.search_runs([run.info.experiment_id], "dataset.name = 'flower_photos'")
        assert [item.info.run_id for item in found] == [tracker.run_id]


@pytest.mark.slow
def test_console_stays_silent_in_a_whole_run(tmp_path: Path) -> None:
    """Creating a store and logging a run in a fresh process writes nothing to the console."""
    code = (
        "import sys; from flowersweep.tracking.mlflow_tracker import *;"
        "from flowersweep.tracking.store.store import prepare_store;"
        "run = MLflowTracker.start(prepare_store(Path(sys.argv[1])), 'quiet', 'run');"
        "run.params({'a': 1}); run.metrics({'b': 2.0}); run.text('c', 'd.txt'); run.end(RunStatus.FINISHED)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=ENV)
    assert (result.stdout, result.stderr) == ("", "")


def test_importing_the_tracker_imports_nothing_heavy() -> None:
    """MLflow, TensorFlow and matplotlib wait until they are used."""
    code = (
        "import sys, flowersweep.tracking.mlflow_tracker, flowersweep.tracking.orphaned_runs, flowersweep.figures.curves;"
        "print({'mlflow', 'tensorflow', 'keras', 'matplotlib', 'sqlalchemy'} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENV)
    assert result.stdout.strip() == "set()"


def test_a_data_set_may_be_recorded_by_several_at_once(tmp_path: Path) -> None:
    """Three that are the first to record each of ten data sets all succeed; MLflow alone fails some of them."""
    store = prepare_store(tmp_path)
    trackers = [MLflowTracker.start(store, "e", f"run-{number}") for number in range(3)]
    barrier = threading.Barrier(3)

    def record(tracker: MLflowTracker) -> None:
        for number in range(10):
            barrier.wait(60)
            tracker.dataset(f"set-{number}", digest="0123", source="/pictures", context="training")

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(record, trackers))
    for tracker in trackers:
        assert len(client(store.uri).get_run(tracker.run_id).inputs.dataset_inputs) == 10
