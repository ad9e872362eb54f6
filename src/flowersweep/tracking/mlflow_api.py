"""Wrapper module of MLflow: late import, no console output, one-sentence errors, and every use of its private parts."""

import functools
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from flowersweep.errors import TrackingError
from flowersweep.tracking.failure import is_of_store, is_passing, reason
from flowersweep.tracking.patience import PatientClient, waited

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow reads these when it is imported. Values set by the user take precedence.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # "Creating initial MLflow database tables" and the like are not for the user
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is for the output of the program
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # retries are silent, and create twice what must be created once
}
# A server that hangs must not hold up a training, or its end after a signal, for MLflow's two minutes.
QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
# With these variables MLflow, or its server, would use another store, registry, experiment, run or model than the one that
# was given to the command.
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
# Private: the columns that contain addresses of files. No command of MLflow corrects them after a move.
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
# Not documented: tags for the kind of an experiment and for shared views. The client has no call for either; MLflow's
# pages write these tags.
EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
SHARED_VIEW = "mlflow.sharedViewState."
# Not documented: without it, every page that is opened in a new window has the menu for language models.
_MODEL_TRAINING = "workflowType=machine_learning"
# SQLite waits in C code, where no signal reaches Python; MLflow's timeout of 20 s would delay Ctrl-C by as much.
BUSY_MILLISECONDS = 1000
# How the names of folders begin that hold files on their way to the store.
TEMPORARY = "flowersweep-"
# Messages of SQLite and the operating system if no space is left.
_FULL = ("database or disk is full", "No space left on device")


def client(uri: str) -> "MlflowClient":
    """Return an MLflow client bound to one store, which waits if the store is locked or does not answer."""
    return cast("MlflowClient", PatientClient(bare_client(uri)))


def bare_client(uri: str) -> "MlflowClient":
    """Return an MLflow client bound to one store, which is also its registry; no global URI is involved."""
    quiet()
    _interruptible_locks()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


# What `quiet` has unset.
_given: dict[str, str] = {}


def given_elsewhere() -> dict[str, str]:
    """Return the variables in ELSEWHERE as the user has set them; programs other than this one heed them."""
    return {name: value for name in ELSEWHERE if (value := os.environ.get(name) or _given.get(name))}


def chosen() -> tuple[Any, Any]:
    """Return the address and the experiment that this process has set as MLflow's own, for `choose`.

    Private: the second one. MLflow has no function to leave an experiment.
    """
    service = sys.modules.get("mlflow.tracking._tracking_service.utils")
    fluent = sys.modules.get("mlflow.tracking.fluent")
    return getattr(service, "_tracking_uri", None), getattr(fluent, "_active_experiment_id", None)


def choose(before: tuple[Any, Any]) -> None:
    """Set MLflow's own address and experiment, and with them its variables of the environment."""
    if chosen() == before:
        return
    import mlflow.tracking.fluent

    mlflow.set_tracking_uri(before[0])
    vars(mlflow.tracking.fluent)["_active_experiment_id"] = before[1]  # private, as above


def quiet() -> None:
    """Turn off MLflow's telemetry and messages, and unset the variables in ELSEWHERE; must precede its first import."""
    for name in ELSEWHERE:
        if (value := os.environ.pop(name, None)) is not None:
            _given[name] = value
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # MLflow may have been imported before.
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
    # It prints the complete traceback of every error that it also raises; `translated` shortens it to one sentence.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise errors of a store in the block as TrackingError: "Cannot <action>: <reason>."."""
    quiet()
    try:
        yield
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"Cannot {action}: its artifacts are stored by means of the package {error.name!r}, which is not installed; "
            "install it, or let an MLflow server store them."
        ) from error
    except Exception as error:
        if not is_of_store(error):
            raise
        why = reason(error)
        advice = ""
        if any(one in why for one in _FULL):
            name = str(getattr(error, "filename", None) or "")
            is_temporary = name.startswith(str(Path(tempfile.gettempdir(), TEMPORARY)))
            setting = "TMPDIR" if is_temporary else "tracking.dir"
            advice = f"; free some space, or choose another folder with {setting}=DIR"
        elif is_passing(error):
            advice = f"{waited()}; end the program that keeps the store locked, or start its server again"
        raise TrackingError(f"Cannot {action}: {why}{advice}.") from error


_environment_lock = threading.RLock()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the duration of a block; a block in another thread waits for its end."""
    with _environment_lock:  # the blocks of two threads would put back each other's values
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


@contextmanager
def environment_kept() -> Iterator[None]:
    """A block after which the variables that `quiet` changes, and MLflow's log level, are as before it.

    For callers within a program of the user's, whose own use of MLflow must not change.
    """
    before = {name: os.environ[name] for name in (*ELSEWHERE, *_ENVIRONMENT) if name in os.environ}
    loggers = [logging.getLogger(name) for name in ("mlflow", "mlflow.store.db.utils")]
    levels = [logger.level for logger in loggers]
    with environment({**_ENVIRONMENT, **before}):
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def create_database(uri: str, artifact_root: str) -> None:
    """Create the tables of a store in an empty database, with the experiment `Default`.

    Not documented: `SqlAlchemyStore`. A client creates them too, but keeps its engine open for that database name, and
    selects its own default folder.
    """
    quiet()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri, artifact_root).engine.dispose()


@contextmanager
def requirements_trusted() -> Iterator[None]:
    """Store models in the block without comparing their requirements with the installed packages they were read from.

    Private: the function that compares them. It lists the files of all installed packages, which takes longer than all other
    steps of storing a model; no setting turns it off.
    """
    quiet()
    from mlflow.utils import environment as environments

    compare = environments.warn_dependency_requirement_mismatches
    environments.warn_dependency_requirement_mismatches = lambda _requirements: None
    try:
        yield
    finally:
        environments.warn_dependency_requirement_mismatches = compare


def is_of_older_version(error: Exception) -> bool | None:
    """Return whether a database was refused because its tables are of an older MLflow; None for another reason.

    Private: the text of the error, which has no specific type or attribute, and the folder of migrations, which no public
    function returns.
    """
    import mlflow
    from alembic.script import ScriptDirectory

    if "out-of-date database schema" not in str(error):
        return None
    found = re.search(r"found version (\w+)", str(error))
    migrations = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return found is not None and any(found.group(1) == one.revision for one in migrations.walk_revisions())


def runs_page(experiment_id: str, view: str) -> str:
    """Return the address of an experiment's runs, relative to that of a server or another page.

    Not documented: the part after the `#`. MLflow prints such addresses but has no function that creates them.

    Args:
        experiment_id: The id of the experiment.
        view: The name of a shared view, as it follows SHARED_VIEW in the experiment's tags.
    """
    return f"#/experiments/{quote(experiment_id)}/runs?viewStateShareKey={view}&{_MODEL_TRAINING}"


def run_page(experiment_id: str, run_id: str) -> str:
    """Return the address of a run, relative to that of a server or another page; see `runs_page`."""
    return f"#/experiments/{quote(experiment_id)}/runs/{run_id}?{_MODEL_TRAINING}"


@functools.cache
def _interruptible_locks() -> None:
    """Let SQLite wait for a lock for BUSY_MILLISECONDS, not for the 20 s that MLflow sets in each session.

    Private: the statement that sets it; no setting changes this time.
    """
    from sqlalchemy import Engine, event

    @event.listens_for(Engine, "before_cursor_execute", retval=True)
    def shorten(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: object
    ) -> tuple[str, Any]:
        if statement.startswith("PRAGMA busy_timeout ="):
            statement = f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}"
        return statement, parameters
