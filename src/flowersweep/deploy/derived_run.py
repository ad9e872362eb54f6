"""Runs in MLflow of models that are made of trained ones: what they take over from the run of a trained model."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from flowersweep.deploy.best_run import overrides_of
from flowersweep.deploy.choose import Choice, choose_run
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.deploy.temperature import Temperature, fit_for, scaled
from flowersweep.figures.predictions import predictions_table, read_predictions
from flowersweep.tracking.closing import closing
from flowersweep.tracking.lookup import Files, model_metadata
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import PICTURES, SPLIT_FILE, VALIDATION_TABLE
from flowersweep.tracking.selection import children_of, experiment_of

if TYPE_CHECKING:
    import keras
    from mlflow.entities import Run

CALIBRATED = "calibrated"
_TEMPERATURE = "temperature.json"
_AUC = "best/val_auc"
_COPIED = ("config/config.yaml", "labels.json", SPLIT_FILE)


def calibrated(choice: Choice) -> tuple[Choice, Temperature]:
    """A run below that of a model, with the model whose logits are divided by a fitted temperature.

    It is created once; the next call returns the same run. Imports TensorFlow.

    Raises:
        TrackingError: The run has no validation predictions.
    """
    for run in children_of(choice.store, choice.run):
        if run.data.tags.get("kind") == CALIBRATED and run.info.status == "FINISHED":
            known = Files(choice.store, run.info.run_id).text(_TEMPERATURE)
            if known is not None:  # that of its model; another version may fit another one
                return choose_run(choice.store, run), Temperature.from_json(known)
    temperature = fit_for(choice)
    model = LocalPredictor(choice, 1, temperature).model
    tracker = MLflowTracker.start(
        choice.store,
        experiment_of(choice.store, choice.run),
        f"{choice.run.info.run_name} {CALIBRATED}",
        parent_run_id=choice.run_id,
        tags={
            "kind": CALIBRATED,
            **tags_taken_over(choice.run, "data", "model", "augmentation", "objective"),
        },
    )
    with closing(tracker):
        _record(tracker, choice, temperature)
        take_over(tracker, choice)
        log_derived_model(tracker, choice, model)
    with translated(f"read run {tracker.run_id}"):
        return choose_run(choice.store, client(choice.store.uri).get_run(tracker.run_id)), temperature


def _record(tracker: MLflowTracker, choice: Choice, temperature: Temperature) -> None:
    from flowersweep.training.probabilities import Predictions

    run, files = choice.run, Files(choice.store, choice.run_id)
    tracker.params(
        {
            "temperature": temperature.value,
            "objective.metric": run.data.params.get("objective.metric", "best/val_accuracy"),
        }
    )
    found = read_predictions(files.text(VALIDATION_TABLE) or "")
    assert found is not None  # noqa: S101 (the temperature was fitted on it)
    probabilities = scaled(found.probabilities, temperature.value)
    # A temperature keeps the order of the classes of a picture, but not the loss, or the order of pictures.
    results = {
        key: value
        for key, value in run.data.metrics.items()
        if key.startswith(("best/", "test/accuracy")) and key != "best/loss"
    }
    if _AUC in results:
        results[_AUC] = Predictions(probabilities.astype(np.float32), found.true.astype(np.int32)).auc
    changed = {
        "best/val_loss": temperature.after.loss,
        "calibration/error": temperature.after.calibration_error,
        "calibration/error_before": temperature.before.calibration_error,
        "calibration/val_loss_before": temperature.before.loss,
    }
    tracker.metrics({**results, **changed})
    tracker.json(asdict(temperature), _TEMPERATURE)
    table = predictions_table(found.paths, found.true, probabilities, found.class_names)
    tracker.text(table, VALIDATION_TABLE)


def tags_taken_over(run: "Run", *names: str) -> dict[str, str]:
    """The tags of a trained run that are also true of what is made of it: these, and the numbers of its pictures."""
    return {key: text for key, text in run.data.tags.items() if key in names or key.startswith(PICTURES)}


def take_over(tracker: MLflowTracker, choice: Choice) -> None:
    """Store what is also true of what is made of a trained run: its configuration, its classes, its split and its data set."""
    files = Files(choice.store, choice.run_id)
    for name in _COPIED:
        if (text := files.text(name)) is not None:
            tracker.text(text, name)
    typed = overrides_of(choice.store, choice.run)  # with the seed of a repeat, which the new run is not
    tracker.text("".join(f"{override}\n" for override in typed), "config/overrides.txt")
    for used in choice.run.inputs.dataset_inputs if choice.run.inputs else []:
        data = used.dataset
        tracker.dataset(
            data.name,
            digest=data.digest,
            source=next(iter(json.loads(data.source).values())),
            context="validation",
        )


def log_derived_model(tracker: MLflowTracker, choice: Choice, model: "keras.Model") -> None:
    """Store a model with the classes, size and metadata of another one."""
    info = choice.info
    known = model_metadata(choice.store, choice.location)
    tracker.model(
        model,
        example=np.zeros((1, info.size, info.size, 3), np.float32),
        class_names=info.class_names,
        metadata={key: value for key, value in known.items() if key not in {"class_names", "picture_shape"}},
    )
