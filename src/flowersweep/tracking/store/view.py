"""The default view of an experiment in MLflow: the best run first, and the most useful columns.

MLflow stores a table's layout in the browser, or as a shared view in a tag of the experiment; this is such a view.
"""

import json

from flowersweep.tracking.mlflow_api import EXPERIMENT_KIND, SHARED_VIEW, runs_page

KEY = "flowersweep"
METRICS = (
    "best/val_accuracy",
    "best/val_loss",
    "best/epoch",
    "total/epochs",
    "total/seconds",
    "spread/standard_deviation",
)
PARAMS = ("model.name", "aug.name", "optimizer.name", "optimizer.learning_rate", "model.dropout")
_ORDER = f"metrics.`{METRICS[0]}`"


def experiment_tags() -> dict[str, str]:
    """The tags with which MLflow shows an experiment as model training, with the view named KEY."""
    columns = [f"metrics.`{name}`" for name in METRICS] + [f"params.`{name}`" for name in PARAMS]
    state = {
        "orderByKey": _ORDER,
        "orderByAsc": False,
        # Means over seeds are compared, not the luckiest seed; every run has this tag.
        "searchFilter": "tags.kind != 'repeat'",
        "selectedColumns": ["attributes.`Created`", *columns],
    }
    return {**EXPERIMENT_KIND, f"{SHARED_VIEW}{KEY}": json.dumps(state)}


def address(server: str, experiment_id: str) -> str:
    """The address at which a server shows an experiment's runs in this view.

    Args:
        server: The address of the server, for example http://127.0.0.1:5000.
        experiment_id: The id of an experiment with these tags.
    """
    return f"{server}/{runs_page(experiment_id, KEY)}"
