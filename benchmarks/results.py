"""Reading the results of flowersweep's command line with MLflow and Optuna."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class Epochs:
    """The epochs of a run.

    Attributes:
        ends: The time at which each was logged, in seconds since 1970.
        seconds: The duration of each, validation included.
        val_accuracy: 0..1.
    """

    ends: list[float]
    seconds: list[float]
    val_accuracy: list[float]


def epoch_ends(results: Path) -> list[float]:
    """The time at which each epoch of the latest run was logged, in seconds since 1970."""
    return epochs(results).ends


def epochs(results: Path) -> Epochs:
    """The epochs of the latest run."""
    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    latest = client.search_runs(experiments, order_by=["attributes.start_time DESC"], max_results=1)[0]
    seconds, accuracies = (
        sorted(client.get_metric_history(latest.info.run_id, name), key=lambda value: value.step)
        for name in ("seconds", "val_accuracy")
    )
    return Epochs(
        [value.timestamp / 1000 for value in seconds],
        [value.value for value in seconds],
        [value.value for value in accuracies],
    )


def study(results: Path) -> optuna.Study:
    """The only study in a folder of results."""
    storage = f"sqlite:///{results / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def quantile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least this percentage of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
