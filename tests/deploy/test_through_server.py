"""Promotion and use of a model whose store is an MLflow server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flowersweep.deploy.choose import chosen
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.deploy.registry import promote
from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.protocol import RunStatus
from flowersweep.tracking.store import Store, prepare_store
from winners import SIZE, small_model

pytestmark = pytest.mark.slow

START_SECONDS = 120


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store of an MLflow server on this machine."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = (
        "--backend-store-uri",
        prepare_store(folder).uri,
        "--artifacts-destination",
        str(folder / "served"),
    )
    address = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    small = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *options, *address],
        env=small,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            yield answering(folder, f"http://127.0.0.1:{port}")
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # with uvicorn, a process of its own


def answering(folder: Path, uri: str) -> Store:
    """The store, as soon as the server answers."""
    for _ in range(START_SECONDS):
        try:
            return prepare_store(folder, uri)
        except TrackingError:
            time.sleep(1)
    pytest.fail(f"The MLflow server did not answer within {START_SECONDS} s.")


def test_a_model_is_promoted_found_and_used(store: Store) -> None:
    """Registered twice it has one version; by its alias it predicts what the model in memory does."""
    model = small_model(3, seed=1)
    run = MLflowTracker.start(store, "served", "run")
    run.params({"objective.metric": "best/val_accuracy", "seed": 0})
    run.metrics({"best/val_accuracy": 0.5})
    run.text("model=cnn\n", "config/overrides.txt")
    run.model(model, example=np.zeros((1, SIZE, SIZE, 3), np.float32), class_names=["a", "b", "c"])
    run.end(RunStatus.FINISHED)
    there = {"tracking.uri": store.uri}

    assert chosen(there).run_id == run.run_id
    for expected in (True, False):
        promotion = promote(chosen({"run": run.run_id[:10], **there}), "flowersweep", "champion")
        assert (promotion.version, promotion.is_new) == ("1", expected)
    champion = chosen({"run": "champion", **there})
    pictures = np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    assert champion.run_id == run.run_id
    assert champion.info.class_names == ("a", "b", "c")
    np.testing.assert_allclose(
        LocalPredictor(champion, 2)(pictures), model(pictures.astype(np.float32)), atol=1e-6
    )
