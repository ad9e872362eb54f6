"""The one door to MLflow: imported late, silent on the console, its errors told in one sentence."""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowersweep.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow reads these when it is imported. What the user has set wins.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # "Creating initial MLflow database tables" and such are not for the user
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to the program
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
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
# SQLAlchemy puts a remark in a line of its own before the reason, and the kind of error before its words.
_REMARK = "(raised as a result of Query-invoked autoflush"
_KIND = re.compile(r"^\(sqlite3\.\w+\) ")


def client(uri: str) -> "MlflowClient":
    """Return an MLflow client bound to one store, which is its registry too: no global URI is involved."""
    quiet()
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
        mend = (
            "; make room, or choose another folder with tracking.dir=DIR"
            if any(one in why for one in _FULL)
            else ""
        )
        raise TrackingError(f"Cannot {action}: {why}{mend}.") from error


def reason(error: BaseException) -> str:
    """Return the first line of an error's text without its full stop, or its type if it has none."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith(_REMARK)]
    return _KIND.sub("", lines[0]).rstrip(". ") if lines else type(error).__name__


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
