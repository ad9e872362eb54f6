"""Storing a Keras model as an MLflow model with its signature, pinned requirements and class names."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import bare_client, client, requirements_trusted, translated
from flowersweep.tracking.patience import cleaning_up, patiently
from flowersweep.tracking.provenance import package_versions

if TYPE_CHECKING:
    import keras
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

NAME = "model"
Examples = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
_REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy")


def log_model(
    uri: str,
    run_id: str,
    keras_model: "keras.Model",
    *,
    example: Examples,
    class_names: Sequence[str],
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Store a model with a run of the store at `uri`; the other arguments are those of MLflowTracker.model.

    `mlflow.keras.log_model` uses a global tracking URI, and infers the requirements by loading the model again in
    another process. Here the same steps are taken with the client, and the requirements are known.

    Returns:
        The address `runs:/RUN_ID/model`.
    """
    import mlflow.keras
    from mlflow.models import Model

    signature = _signature(keras_model, example, class_names)
    facts = {"class_names": list(class_names), "picture_shape": list(example.shape[1:]), **(metadata or {})}
    service, bare = client(uri), bare_client(uri)
    run = service.get_run(run_id)
    logged = _create_logged_model(bare, run)
    try:
        _log_output(bare, run_id, logged.model_id)
        identity = {"model_id": logged.model_id, "model_uuid": logged.model_id, "run_id": run_id}
        with tempfile.TemporaryDirectory() as folder, requirements_trusted():
            path = Path(folder, NAME)
            mlflow.keras.save_model(
                keras_model,
                str(path),
                mlflow_model=Model(artifact_path=logged.artifact_location, **identity),
                signature=signature,
                pip_requirements=[
                    f"{name}=={found}" for name, found in package_versions(_REQUIREMENTS).items()
                ],
                metadata=facts,
            )
            service.log_model_artifacts(logged.model_id, str(path))
    except BaseException as error:
        with cleaning_up(error), translated(f"mark the model of run {run_id} as failed"):
            service.finalize_logged_model(logged.model_id, "FAILED")
        raise
    service.finalize_logged_model(logged.model_id, "READY")
    return f"runs:/{run_id}/{NAME}"


def _create_logged_model(bare: "MlflowClient", run: "Run") -> "LoggedModel":
    """Create the entry of a model exactly once, even if the store fails after creating it."""
    run_id, experiment = run.info.run_id, run.info.experiment_id

    def create() -> "LoggedModel":
        return bare.create_logged_model(experiment, name=NAME, source_run_id=run_id, params=run.data.params)

    def find_or_create() -> "LoggedModel":
        of_run = bare.search_logged_models([experiment], f"source_run_id = '{run_id}'")
        return next((one for one in of_run if str(one.status) == "PENDING"), None) or create()

    return patiently(create, again=find_or_create)


def _log_output(bare: "MlflowClient", run_id: str, model_id: str) -> None:
    """Add a model to a run's outputs, which MLflow refuses to do twice."""
    from mlflow.entities import LoggedModelOutput

    def put() -> None:
        bare.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])

    def put_unless_there() -> None:
        if model_id not in {output.model_id for output in bare.get_run(run_id).outputs.model_outputs}:
            put()

    patiently(put, again=put_unless_there)


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
