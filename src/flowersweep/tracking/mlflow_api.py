"""The one door to MLflow: imported late, silent on the console, its errors told in one sentence."""

import logging
import os
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


def client(uri: str) -> "MlflowClient":
    """Return an MLflow client bound to one store, so that no global tracking URI is involved."""
    quiet()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def quiet() -> None:
    """Turn MLflow's telemetry and chatter off; to be called before its first import."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Somebody may have imported MLflow before us.
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise what MLflow or the disk refuses in the block as TrackingError: "Cannot <action>: <reason>."."""
    quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(f"Cannot {action}: {reason(error)}.") from error


def reason(error: BaseException) -> str:
    """Return the first line of an error's text without its full stop, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(". ") if lines else type(error).__name__


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
