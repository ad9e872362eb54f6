"""Promotion and use of a model whose store is an MLflow server."""

from collections.abc import Iterator

import numpy as np
import pytest

from flowersweep.commands.parsing.common import chosen
from flowersweep.deploy.model_registry import promote
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store
from servers import mlflow_server
from winners import SIZE, small_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store of an MLflow server on this machine."""
    with mlflow_server(tmp_path_factory.mktemp("server")) as served:
        yield served


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
