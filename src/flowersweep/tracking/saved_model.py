"""Storing a Keras model as an MLflow model: signature, pinned requirements, and what its outputs mean."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flowersweep.errors import TrackingError
from flowersweep.tracking.protocol import Pictures
from flowersweep.tracking.provenance import package_versions

if TYPE_CHECKING:
    import keras
    from mlflow import MlflowClient

NAME = "model"
_REQUIREMENTS = ("tensorflow", "keras", "mlflow", "numpy")


def log_model(
    service: "MlflowClient",
    run_id: str,
    keras_model: "keras.Model",
    *,
    example: Pictures,
    class_names: Sequence[str],
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Store a model with a run; the arguments are those of Tracker.model.

    `mlflow.keras.log_model` works on a global tracking URI, and infers the requirements by loading the model once
    more in another process; here the same steps are taken with the client, and the requirements are known.

    Returns:
        The address `runs:/RUN_ID/model`.
    """
    import mlflow.keras
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    signature = _signature(keras_model, example, class_names)
    facts = {"class_names": list(class_names), "picture_shape": list(example.shape[1:]), **(metadata or {})}
    run = service.get_run(run_id)
    logged = service.create_logged_model(
        run.info.experiment_id, name=NAME, source_run_id=run_id, params=run.data.params
    )
    try:
        service.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        identity = {"model_id": logged.model_id, "model_uuid": logged.model_id, "run_id": run_id}
        with tempfile.TemporaryDirectory() as folder:
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
    except BaseException:
        service.finalize_logged_model(logged.model_id, "FAILED")
        raise
    service.finalize_logged_model(logged.model_id, "READY")
    return f"runs:/{run_id}/{NAME}"


def _signature(keras_model: "keras.Model", example: Pictures, class_names: Sequence[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    output = np.asarray(keras_model(example[:1], training=False))
    if output.shape != (1, len(class_names)):
        raise TrackingError(
            f"Cannot store the model: it gives {output.shape[1:]} values a picture, but there are "
            f"{len(class_names)} class names; both must agree."
        )
    return ModelSignature(
        # Without a name: pyfunc would hand a named input over as a dictionary, which the model does not take.
        inputs=Schema([TensorSpec(example.dtype, (-1, *example.shape[1:]))]),
        outputs=Schema([TensorSpec(output.dtype, (-1, len(class_names)))]),
    )
