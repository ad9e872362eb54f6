"""Tests of the view that an experiment opens in."""

import json
from pathlib import Path

import pytest

from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import experiment_id, prepare_store
from flowersweep.tracking.store.summary import summary
from flowersweep.tracking.store.view import KEY, address, experiment_tags, update_view

VIEW = f"mlflow.sharedViewState.{KEY}"


def test_best_runs_come_first_with_the_columns_that_answer() -> None:
    """The state is what MLflow's page reads: an order, columns in its own notation, and their widths."""
    state = json.loads(experiment_tags()[VIEW])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`order`", False)
    answers = [f"metrics.`{name}`" for name in ("rank", "mean", "sd", "n")]
    assert state["selectedColumns"][1:5] == state["columnOrder"][3:7] == answers
    assert set(state["columnWidths"]) >= set(answers)


@pytest.mark.slow
def test_runs_of_an_earlier_version_keep_their_order(tmp_path: Path) -> None:
    """An experiment without the new metrics is sorted by the old one, until it has a run with them."""
    store = prepare_store(tmp_path)
    MLflowTracker.start(store, "e", "old").metrics({"best/val_accuracy": 0.5})
    service, experiment = client(store.uri), experiment_id(store, "e")

    def order() -> str:
        update_view(store.uri, experiment)
        return str(json.loads(service.get_experiment(experiment).tags[VIEW])["orderByKey"])

    assert order() == "metrics.`best/val_accuracy`"
    MLflowTracker.start(store, "e", "new").metrics(summary([0.5], maximize=True))
    assert order() == "metrics.`order`"


@pytest.mark.slow
def test_new_experiments_have_it(tmp_path: Path) -> None:
    """An experiment is made with the view and as one of model training."""
    store = prepare_store(tmp_path)
    made = client(store.uri).get_experiment(experiment_id(store, "e"))
    assert made.tags.items() >= experiment_tags().items()


def test_address() -> None:
    """The address names the view, and the menu of model training."""
    assert address("http://h:1", "7") == (
        "http://h:1/#/experiments/7/runs?viewStateShareKey=flowersweep&workflowType=machine_learning"
    )
