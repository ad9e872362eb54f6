"""The one door to MLflow: imported late, silent on the console, its errors told in one sentence, its private parts kept here."""

import functools
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from flowersweep.errors import TrackingError
from flowersweep.tracking.failure import is_passing, reason
from flowersweep.tracking.patience import PatientClient, waited

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
# Private: where the tables keep addresses of files. No command of MLflow corrects them after a move.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
# Not documented: tags by which the pages know what an experiment is for, and views that were shared. The client has no
# call for either; the pages themselves write them so.
EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
SHARED_VIEW = "mlflow.sharedViewState."
# SQLite waits in C code, where no signal reaches Python; MLflow's own 20 s would delay Ctrl-C by as much.
BUSY_MILLISECONDS = 1000
# What SQLite and the operating system say when there is no room.
_FULL = ("database or disk is full", "No space left on device")


def client(uri: str) -> "MlflowClient":
    """Return an MLflow client bound to one store, which waits for the store where that is locked or away."""
    return cast("MlflowClient", PatientClient(bare_client(uri)))


def bare_client(uri: str) -> "MlflowClient":
    """Return an MLflow client bound to one store, which is its registry too: no global URI is involved."""
    quiet()
    _interruptible_locks()
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
        advice = ""
        if any(one in why for one in _FULL):
            advice = "; make room, or choose another folder with tracking.dir=DIR"
        elif is_passing(error):
            advice = f"{waited()}; end the program that keeps the store locked, or start its server again"
        raise TrackingError(f"Cannot {action}: {why}{advice}.") from error


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


def create_database(uri: str, artifact_root: str) -> None:
    """Make the tables of a store in an empty database, with the experiment `Default`.

    Not documented: `SqlAlchemyStore`. A client makes them too, but in the database of that name for good, with a default
    folder of its own and an engine that stays open.
    """
    quiet()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri, artifact_root).engine.dispose()


def is_of_older_version(error: Exception) -> bool | None:
    """Tell whether a database was refused because an older MLflow made its tables; None if that is not why.

    Private: the text of the error, which has no type or attribute of its own, and the folder of migrations, which are known
    to no public function.
    """
    import mlflow
    from alembic.script import ScriptDirectory

    if "out-of-date database schema" not in str(error):
        return None
    found = re.search(r"found version (\w+)", str(error))
    migrations = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return found is not None and any(found.group(1) == one.revision for one in migrations.walk_revisions())


def runs_page(experiment_id: str, view: str | None = None) -> str:
    """Return the address of an experiment's runs, below that of a server or from another page.

    Not documented: what stands behind the `#`. MLflow prints such addresses but has no function that makes them.

    Args:
        experiment_id: Of the experiment.
        view: The name of a shared view, as it stands behind SHARED_VIEW in the experiment's tags.
    """
    share = f"?viewStateShareKey={view}" if view is not None else ""
    return f"#/experiments/{quote(experiment_id)}/runs{share}"


@functools.cache
def _interruptible_locks() -> None:
    """Let SQLite give up on a lock after BUSY_MILLISECONDS, not after the 20 s that MLflow tells it in each session.

    Private: the statement with which it does so; no setting changes these seconds.
    """
    from sqlalchemy import Engine, event

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def shorten(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: object
    ) -> tuple[str, Any]:
        if statement.startswith("PRAGMA busy_timeout ="):
            statement = f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}"
        return statement, parameters
