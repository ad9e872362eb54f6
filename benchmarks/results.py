"""Reading the results of flowersweep's command line with MLflow and Optuna."""

from pathlib import Path

import optuna
from mlflow.tracking import MlflowClient


def epoch_ends(results: Path) -> list[float]:
    """The time at which each epoch of the latest run was logged, in seconds since 1970."""
    client = MlflowClient(f"sqlite:///{results / 'mlflow.db'}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    latest = client.search_runs(experiments, order_by=["attributes.start_time DESC"], max_results=1)[0]
    logged = client.get_metric_history(latest.info.run_id, "val_loss")
    return sorted(value.timestamp / 1000 for value in logged)


def study(results: Path) -> optuna.Study:
    """The only study in a folder of results."""
    storage = f"sqlite:///{results / 'optuna.db'}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)
