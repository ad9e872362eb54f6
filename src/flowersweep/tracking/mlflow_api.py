"""The one door to MLflow: imported late, silent on the console, its errors told in one sentence."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from flowersweep.errors import TrackingError
from flowersweep.tracking.failure import is_passing, reason
from flowersweep.tracking.patience import PatientClient, interruptible_locks, waited

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow reads these when it is imported. What the user has set wins.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # "Creating initial MLflow database tables" and such are not for the user
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to the program
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # it would wait in silence, and create twice what must be created once
}
# By these the environment would lead MLflow, or its server, to another store, registry, experiment, run or model than the
# one that a command was told of.
ELSEWHERE = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_RUN_ID",
    "MLFLOW_ACTIVE_MODEL_ID",
    "_MLFLOW_ACTIVE_MODEL_ID",
    "MLFLOW_TRACING_DESTINATION",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_READ_REPLICA_BACKEND_STORE_URI",
    "MLFLOW_REGISTRY_STORE_URI",
    "MLFLOW_DEFAULT_ARTIFACT_ROOT",
    "MLFLOW_ARTIFACTS_DESTINATION",
    "MLFLOW_ARTIFACTS_ONLY",
    "MLFLOW_STATIC_PREFIX",
)
# What SQLite and the operating system say when there is no room.
_FULL = ("database or disk is full", "No space left on device")


def client(uri: str) -> "MlflowClient":
    """Return an MLflow client bound to one store, which waits for the store where that is locked or away."""
    return cast("MlflowClient", PatientClient(bare_client(uri)))


def bare_client(uri: str) -> "MlflowClient":
    """Return an MLflow client bound to one store, which is its registry too: no global URI is involved."""
    quiet()
    interruptible_locks()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def quiet() -> None:
    """Turn MLflow's telemetry and chatter off, and forget what leads elsewhere; to be called before its first import."""
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Somebody may have imported MLflow before us.
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
    # It prints the whole traceback of every error that it also raises; `translated` makes a sentence of it.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise what MLflow or the disk refuses in the block as TrackingError: "Cannot <action>: <reason>."."""
    quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        why = reason(error)
        mend = ""
        if any(one in why for one in _FULL):
            mend = "; make room, or choose another folder with tracking.dir=DIR"
        elif is_passing(error):
            mend = f"{waited()}; end the program that keeps the store locked, or start its server again"
        raise TrackingError(f"Cannot {action}: {why}{mend}.") from error


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the length of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
