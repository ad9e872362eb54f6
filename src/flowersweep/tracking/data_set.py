"""Recording the pictures of a run as a data set that MLflow can search for by name and digest."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from flowersweep.redaction import redacted
from flowersweep.tracking import rules

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Messages of SQLite, PostgreSQL and MySQL about a row that another process has just inserted.
DUPLICATE = ("unique constraint", "duplicate key", "duplicate entry")


def data_set(
    name: str,
    *,
    digest: str,
    source: str,
    context: str,
    picture_shape: tuple[int, int, int] | None = None,
    profile: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """A data set as JSON values; the arguments are those of MLflowTracker.dataset."""
    is_url = source.startswith(("http://", "https://"))
    entity = {
        "name": name,
        "digest": digest[: rules.MAX_DIGEST_LENGTH],
        "source_type": "http" if is_url else "local",
        "source": json.dumps({"url" if is_url else "uri": redacted(source)}),
        "schema": None if picture_shape is None else _schema(picture_shape),
        "profile": rules.json_text(dict(profile)) if profile else None,
    }
    return {"data": entity, "context": context}


def log_data_set(service: "MlflowClient", run_id: str, values: Mapping[str, Any]) -> None:
    """Record a data set from `data_set` with a run, once.

    If workers record a new one simultaneously, MLflow fails, and a second attempt succeeds.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    tags = [InputTag("mlflow.data.context", values["context"])]
    used = DatasetInput(Dataset(**values["data"]), tags=tags)
    try:
        service.log_inputs(run_id, datasets=[used])
    except MlflowException as error:
        if not any(words in str(error).lower() for words in DUPLICATE):
            raise
        service.log_inputs(run_id, datasets=[used])


def _schema(picture_shape: tuple[int, int, int]) -> str:
    from mlflow.data.schema import TensorDatasetSchema
    from mlflow.types import Schema, TensorSpec

    pictures = Schema([TensorSpec(np.dtype(np.uint8), (-1, *picture_shape))])
    labels = Schema([TensorSpec(np.dtype(np.int64), (-1,))])
    return json.dumps(TensorDatasetSchema(features=pictures, targets=labels).to_dict())
