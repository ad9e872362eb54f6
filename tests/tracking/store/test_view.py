"""Tests of the view that an experiment opens in."""

import json
from pathlib import Path

from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import experiment_id, prepare_store
from flowersweep.tracking.store.view import KEY, address, experiment_tags


def test_best_runs_come_first_with_the_columns_of_the_study() -> None:
    """The state is what MLflow's page reads: an order, and columns in its own notation."""
    state = json.loads(experiment_tags()[f"mlflow.sharedViewState.{KEY}"])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best/val_accuracy`", False)
    assert {"metrics.`spread/standard_deviation`", "params.`aug.name`"} <= set(state["selectedColumns"])


def test_new_experiments_have_it(tmp_path: Path) -> None:
    """An experiment is made with the view and as one of model training."""
    store = prepare_store(tmp_path)
    made = client(store.uri).get_experiment(experiment_id(store, "e"))
    assert made.tags.items() >= experiment_tags().items()


def test_address() -> None:
    """The address names the view."""
    assert address("http://h:1", "7") == "http://h:1/#/experiments/7/runs?viewStateShareKey=flowersweep"
