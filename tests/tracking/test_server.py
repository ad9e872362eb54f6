"""The tracker against a real MLflow server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flowersweep import process
from flowersweep.errors import TrackingError
from flowersweep.tracking.closing import closing
from flowersweep.tracking.mlflow_api import client, environment
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import close_orphaned_runs
from flowersweep.tracking.run import NOTE, RunStatus
from flowersweep.tracking.store.store import Store, experiment_id
from servers import mlflow_server

pytestmark = pytest.mark.slow

# A process with the id of this one, which lives no more.
EARLIER = process.identity()[process.START_TAG].rsplit(" ", 1)[0] + " 1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store of an MLflow server on this machine."""
    with mlflow_server(tmp_path_factory.mktemp("server")) as served:
        yield served


def test_a_run_is_logged_through_the_server(store: Store, tmp_path: Path) -> None:
    """Params, metrics, artifacts and the model travel over HTTP, and the artifacts lie at the server."""
    import keras
    import mlflow

    assert store.artifact_root is None
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    pictures = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    with closing(MLflowTracker.start(store, "served", "run", tags={NOTE: "*text*"})) as run:
        run.params({f"key{number}": number for number in range(120)})
        run.metrics({"loss": 0.5}, step=2)
        run.dataset("flowers", digest="abc", source="/data", context="training", picture_shape=(8, 8, 3))
        run.text("hello", "notes/a.txt")
        address = run.model(network, example=pictures, class_names=["a", "b"])
    found = client(store.uri).get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.artifact_uri.startswith("mlflow-artifacts:/")
    assert (len(found.data.params), found.data.metrics) == (120, {"loss": 0.5})
    copy = client(store.uri).download_artifacts(run.run_id, "notes/a.txt", str(tmp_path))
    assert Path(copy).read_text(encoding="utf-8") == "hello"
    with environment({"MLFLOW_TRACKING_URI": store.uri}):
        loaded = mlflow.keras.load_model(address)
    assert np.array_equal(loaded.predict(pictures, verbose=0), network.predict(pictures, verbose=0))


def test_refusals_and_orphaned_runs_are_the_same_over_http(store: Store) -> None:
    """Another value for a param, a deleted experiment and a dead process are told as with SQLite."""
    run = MLflowTracker.start(store, "refusing", "run", tags={"flowersweep.process_start": EARLIER})
    run.params({"seed": 1})
    with pytest.raises(TrackingError, match="Cannot log the params of run"):
        run.params({"seed": 2})
    number = experiment_id(store, "refusing")
    assert close_orphaned_runs(store, [number]) == [run.run_id]
    assert client(store.uri).get_run(run.run_id).info.status == RunStatus.KILLED.value
    client(store.uri).delete_experiment(number)
    with pytest.raises(TrackingError, match="mlflow experiments restore"):
        experiment_id(store, "refusing")
