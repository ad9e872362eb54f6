"""What the run of a calibrated model takes over from that of the trained one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flowersweep.deploy.choose import Choice, choose
from flowersweep.deploy.derived_run import calibrated
from flowersweep.deploy.temperature import Quality, Temperature
from flowersweep.tracking.lookup import Files
from flowersweep.tracking.mlflow_api import client
from winners import Winners, predict

METRICS = {"best/val_auc": 0.25, "best/loss": 0.5, "best/val_top3": 0.75, "best/epoch": 3.0}


@pytest.fixture
def choice(results: Winners, drawn: Path) -> Iterator[Choice]:
    """A repeat with predictions and metrics; it is deleted at the end, because the store is shared."""
    results.add("calm", 0.5, experiment="calm", tags={"kind": "repeat"}, seed=4)
    run_id = results.runs["calm"]
    predict(results, "calm", drawn)
    for name, value in METRICS.items():
        client(results.store.uri).log_metric(run_id, name, value)
    yield choose(run_id, directory=str(results.directory))
    client(results.store.uri).delete_run(run_id)


def test_metrics_are_those_of_the_calibrated_model(choice: Choice) -> None:
    """What a temperature changes is computed again or left out, and the rest is as before."""
    made, temperature = calibrated(choice)
    metrics = made.run.data.metrics
    probabilities = _probabilities(made)
    true = np.repeat(np.arange(5), 12)

    assert "best/loss" not in metrics
    assert metrics["best/val_loss"] == pytest.approx(
        -np.log(probabilities[np.arange(60), true]).mean(), abs=1e-4
    )
    areas = [
        np.mean(
            [np.sign(inside - outside) / 2 + 0.5 for inside in one[true == i] for outside in one[true != i]]
        )
        for i, one in enumerate(probabilities.T)
    ]
    assert metrics["best/val_auc"] == pytest.approx(np.mean(areas), abs=1e-6)
    assert (metrics["best/val_top3"], metrics["best/epoch"], metrics["best/val_accuracy"]) == (0.75, 3, 0.5)
    assert temperature.after.loss == metrics["best/val_loss"]
    typed = Files(made.store, made.run_id).text("config/overrides.txt") or ""
    assert typed.splitlines()[-1] == "seed=4"


def test_the_temperature_of_a_run_that_is_used_again_is_its_own(choice: Choice) -> None:
    """A fit of another version may give another one, which the model does not have."""
    made, _ = calibrated(choice)
    earlier = '{"value": 1.5, "pictures": 60, "before": {"calibration_error": 0.25, "loss": 2}, "after": {"calibration_error": 0.125, "loss": 1}}'
    client(choice.store.uri).log_text(made.run_id, earlier, "temperature.json")
    again, temperature = calibrated(choice)

    assert again.run_id == made.run_id
    assert temperature == Temperature(1.5, 60, Quality(0.25, 2), Quality(0.125, 1))


def _probabilities(choice: Choice) -> np.ndarray:
    table = Files(choice.store, choice.run_id).text("validation_predictions.csv") or ""
    return np.array([[float(cell) for cell in line.split(",")[3:]] for line in table.splitlines()[1:]])
