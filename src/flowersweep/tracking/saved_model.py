"""Storing a Keras model as an MLflow model with its signature, pinned requirements and class names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep.errors import TrackingError
from flowersweep.tracking.failure import may_wait
from flowersweep.tracking.mlflow_api import requirements_trusted, translated
from flowersweep.tracking.patience import cleaning_up
from flowersweep.tracking.provenance import package_versions

if TYPE_CHECKING:
    import keras
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

NAME = "model"
Examples = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
_KEY_TAG = "flowersweep.record"
_REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy")


def save_model(
    keras_model: "keras.Model",
    folder: Path,
    *,
    example: Examples,
    class_names: Sequence[str],
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a model to a folder, for `upload_model`; the other arguments are those of MLflowTracker.model.

    `mlflow.keras.log_model` uses a global tracking URI, and infers the requirements by loading the model again in
    another process. Here the same steps are taken with the client, and the requirements are known.
    """
    import mlflow.keras

    signature = _signature(keras_model, example, class_names)
    facts = {"class_names": list(class_names), "picture_shape": list(example.shape[1:]), **(metadata or {})}
    with requirements_trusted():
        mlflow.keras.save_model(
            keras_model,
            str(folder),
            signature=signature,
            pip_requirements=[f"{name}=={found}" for name, found in package_versions(_REQUIREMENTS).items()],
            metadata=facts,
        )


def upload_model(service: "MlflowClient", run_id: str, folder: Path, key: str) -> None:
    """Store a saved model with a run, once, whatever earlier attempts have stored of it.

    Args:
        service: The client of the store.
        run_id: The run.
        folder: From `save_model`; gets the address of the model in the store.
        key: Identifies the model among those of the run.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    run = service.get_run(run_id)
    logged = _logged_model(service, run, key)
    if str(logged.status) == "READY":
        return
    try:
        if logged.model_id not in {output.model_id for output in run.outputs.model_outputs}:
            service.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        described = Model.load(str(folder))
        described.artifact_path, described.run_id = logged.artifact_location, run_id
        described.model_id = described.model_uuid = logged.model_id
        described.save(str(folder / "MLmodel"))
        service.log_model_artifacts(logged.model_id, str(folder))
    except BaseException as error:
        if not may_wait(error):
            with cleaning_up(error), translated(f"mark the model of run {run_id} as failed"):
                service.finalize_logged_model(logged.model_id, "FAILED")
        raise
    service.finalize_logged_model(logged.model_id, "READY")


def _logged_model(service: "MlflowClient", run: "Run", key: str) -> "LoggedModel":
    """The entry of a model, which is created once."""
    run_id, experiment = run.info.run_id, run.info.experiment_id
    of_run = service.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    found = next((one for one in of_run if one.tags.get(_KEY_TAG) == key), None)
    return found or service.create_logged_model(
        experiment, name=NAME, source_run_id=run_id, params=run.data.params, tags={_KEY_TAG: key}
    )


def _signature(keras_model: "keras.Model", example: Examples, class_names: Sequence[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    output = np.asarray(keras_model(example[:1], training=False))
    if output.shape != (1, len(class_names)):
        raise TrackingError(
            f"Cannot store the model: it returns {output.shape[1:]} values per picture, but there are "
            f"{len(class_names)} class names; both must agree."
        )
    return ModelSignature(
        # Without a name: pyfunc would pass a named input as a dictionary, which the model does not accept.
        inputs=Schema([TensorSpec(example.dtype, (-1, *example.shape[1:]))]),
        outputs=Schema([TensorSpec(output.dtype, (-1, len(class_names)))]),
    )
