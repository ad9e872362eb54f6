"""The default view of an experiment in MLflow: the best runs first, each study above its trials, the most useful columns.

MLflow stores a table's layout in the browser, or as a shared view in a tag of the experiment; this is such a view.
"""

import json

from flowersweep.tracking.mlflow_api import EXPERIMENT_KIND, SHARED_VIEW, client, runs_page, translated
from flowersweep.tracking.store.summary import DEVIATION, MEAN, N_SEEDS, ORDER

KEY = "flowersweep"
# Columns with their widths: a window of 1440 pixels shows all up to the space of a study.
COMPARED = {"rank": 55, MEAN: 75, DEVIATION: 65, N_SEEDS: 45}
# What runs from before these have instead.
COMPARED_BEFORE = {"best/val_accuracy": 130, "spread/standard_deviation": 110}
METRICS = {"best/val_loss": 100, "best/epoch": 90}
PARAMS = {
    "aug.name": 130,
    "space": 190,
    "model.name": 120,
    "optimizer.name": 115,
    "optimizer.learning_rate": 165,
    "sampler": 90,
    "budget": 90,
    "data": 110,
}
TAGS = {"study.finished": 110}
NAME, CREATED, DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"


def experiment_tags(*, before: bool = False) -> dict[str, str]:
    """The tags with which MLflow shows an experiment as model training, with the view named KEY.

    Args:
        before: Whether all runs are of a version that did not log COMPARED.
    """
    compared = COMPARED_BEFORE if before else COMPARED
    kinds = {"metrics": {**compared, **METRICS}, "params": PARAMS, "tags": TAGS}
    columns = {f"{kind}.`{name}`": width for kind, some in kinds.items() for name, width in some.items()}
    state = {
        "orderByKey": f"metrics.`{next(iter(COMPARED_BEFORE)) if before else ORDER}`",
        "orderByAsc": False,
        # Means over seeds are compared, not the luckiest seed; every run has this tag.
        "searchFilter": "tags.kind != 'repeat'",
        "selectedColumns": ["attributes.`Created`", *columns],
        # MLflow applies widths only together with an order.
        "columnOrder": ["0", NAME, CREATED, *columns, DURATION],
        "columnWidths": {NAME: 235, CREATED: 130, **columns},
    }
    return {**EXPERIMENT_KIND, f"{SHARED_VIEW}{KEY}": json.dumps(state)}


def update_view(uri: str, experiment_id: str) -> None:
    """Give an experiment the view that fits its runs; it may have an older one.

    Args:
        uri: The address of the store.
        experiment_id: The id of the experiment.
    """
    service = client(uri)
    with translated(f"update the view of experiment {experiment_id}"):
        runs = service.search_runs([experiment_id], max_results=1)
        new = service.search_runs([experiment_id], f"metrics.`{N_SEEDS}` > 0", max_results=1)
        known = service.get_experiment(experiment_id).tags
        for key, value in experiment_tags(before=bool(runs) and not new).items():
            if known.get(key) != value:
                service.set_experiment_tag(experiment_id, key, value)


def address(server: str, experiment_id: str) -> str:
    """The address at which a server shows an experiment's runs in this view.

    Args:
        server: The address of the server, for example http://127.0.0.1:5000.
        experiment_id: The id of an experiment with these tags.
    """
    return f"{server}/{runs_page(experiment_id, KEY)}"
