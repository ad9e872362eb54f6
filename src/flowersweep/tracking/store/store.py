"""The store of runs: a SQLite file, created safely, or a server, which is checked first."""

import hashlib
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flowersweep.cache.atomic import discard
from flowersweep.errors import TrackingError
from flowersweep.redaction import learn
from flowersweep.texts import expanded
from flowersweep.tracking.failure import reason
from flowersweep.tracking.mlflow_api import client, create_database, translated
from flowersweep.tracking.outbox.delivery import places, settle
from flowersweep.tracking.patience import PATIENCE_SECONDS, patience
from flowersweep.tracking.store.moved import ARTIFACTS, refuse_moved
from flowersweep.tracking.store.reachable import check_database, check_server, check_sqlite
from flowersweep.tracking.store.view import experiment_tags

DATABASE_NAME = "mlflow.db"
BUSY_SECONDS = 20  # a database may be locked for this long when a program starts
LOCK_SECONDS = 120  # creating the database takes one to three seconds; a slow disk may need longer

_SERVERS = ("http", "https", "databricks")
_DATABASES = ("postgresql", "mysql", "mssql")


@dataclass(frozen=True)
class Store:
    """A store of runs.

    Attributes:
        uri: The tracking URI of MLflow, absolute.
        artifact_root: The folder of figures, models and other files; None if a server selects it.
    """

    uri: str
    artifact_root: Path | None

    @property
    def outboxes(self) -> tuple[Path, ...]:
        """Folders of what runs have recorded while the store could not be used."""
        return places(self.uri, None if self.artifact_root is None else self.artifact_root.parent)


def prepare_store(directory: Path, uri: str | None = None, *, known_to_work: bool = False) -> Store:
    """Prepare the store for use, create what is missing, and deliver what earlier runs could not.

    Any number of processes may call it at the same time. A database gets its name only when it is complete, so a
    process that is killed leaves nothing that would disturb a later one.

    Args:
        directory: The folder of the results; relative to the current directory.
        uri: None for a SQLite file in `directory`; otherwise a server (http://..., https://..., databricks) or
            a database (sqlite:///PATH, postgresql://..., mysql://..., mssql://...), used unchanged.
        known_to_work: Whether the store was used before. An unavailable server is then waited for, as it is during a
            run. Otherwise only a lock of a few seconds is waited for.

    Raises:
        TrackingError: The URI is not one of these, no usable store answers at it, or `directory` was moved or copied.

    Example:
        >>> store = prepare_store(Path("results"))
        >>> store.uri == f"sqlite:///{Path.cwd()}/results/mlflow.db"
        True
    """
    learn(uri)
    scheme = ("sqlite" if uri is None else uri).split(":", 1)[0].split("+", 1)[0].lower()
    at_start = BUSY_SECONDS if scheme == "sqlite" else 0
    with patience(PATIENCE_SECONDS if known_to_work else at_start):
        store = _prepared(expanded(directory).resolve(), uri, scheme)
    settle(store.uri, store.outboxes, 0)
    return store


def _prepared(directory: Path, uri: str | None, scheme: str) -> Store:
    root = directory / ARTIFACTS
    if uri is None:
        store = _sqlite_store(directory / DATABASE_NAME, root)
        refuse_moved(directory / DATABASE_NAME)
        return store
    if scheme == "sqlite":
        return _sqlite_store(_sqlite_path(uri), root)
    if scheme in _SERVERS:
        check_server(uri)
        return Store(uri, artifact_root=None)
    if scheme in _DATABASES:
        check_database(uri, scheme)
        with _locked(directory / "database"):  # MLflow creates its tables at the first call
            check_server(uri)
        return Store(uri, root)
    raise TrackingError(
        f"Cannot store runs at {uri!r}: MLflow no longer writes to plain folders and does not know such an address; "
        "leave tracking.uri out for a SQLite file in tracking.dir, or give sqlite:///PATH, postgresql://..., "
        "mysql://..., mssql://..., http://..., https://... or databricks."
    )


def sqlite_uri(path: Path) -> str:
    """Return MLflow's address of a SQLite file, `sqlite:////absolute/path`."""
    if set("?%") & set(
        str(path)
    ):  # SQLAlchemy would interpret them as options and escapes and open another file
        raise TrackingError(
            f"Cannot store runs in {path}: a database address cannot contain '?' or '%'; rename the folder."
        )
    return f"sqlite:///{path.as_posix()}"


def experiment_id(store: Store, name: str) -> str:
    """Return the identifier of the experiment of that name, creating it if there is none.

    Raises:
        TrackingError: The experiment has been deleted, or the name is empty.
    """
    found = known_experiment(store, name)
    if found is None:
        with translated(f"open experiment {name!r} in {store.uri}"):
            made = _create_experiment(client(store.uri), store, name)
        found = str(made.experiment_id)
    return found


def known_experiment(store: Store, name: str) -> str | None:
    """Return the identifier of the experiment of that name, or None if there is none and a run would create it.

    Raises:
        TrackingError: The experiment has been deleted, or the name is empty.
    """
    if not name.strip():
        raise TrackingError("An experiment needs a name; set tracking.experiment to one.")
    with translated(f"look for experiment {name!r} in {store.uri}"):
        found = client(store.uri).get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise TrackingError(
            f"Experiment {name!r} is deleted in {store.uri}; choose another name with tracking.experiment=NAME, or restore "
            f"it with: MLFLOW_TRACKING_URI={shlex.quote(store.uri)} python -m mlflow experiments restore --experiment-id "
            f"{found.experiment_id}"
        )
    return None if found is None else str(found.experiment_id)


def _create_experiment(service: Any, store: Store, name: str) -> Any:
    from mlflow.exceptions import MlflowException

    location = None if store.artifact_root is None else (store.artifact_root / _folder_name(name)).as_uri()
    try:
        return service.get_experiment(service.create_experiment(name, location, experiment_tags()))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return service.get_experiment_by_name(name)  # another process was faster


def _folder_name(name: str) -> str:
    """Convert an experiment's name to a readable and unique folder name."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60]
    return readable if readable == name else f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _sqlite_path(uri: str) -> Path:
    file = uri.split("://", 1)[-1].removeprefix("/").split("?", 1)[0]
    if file in {"", ":memory:"}:
        raise TrackingError(
            f"Cannot store runs at {uri!r}: other processes cannot see it; give sqlite:///PATH."
        )
    return expanded(file).resolve()


def _sqlite_store(path: Path, root: Path) -> Store:
    uri = sqlite_uri(path)
    if not _is_there(path):  # an existing store may be read without the right to write next to it
        with _locked(path):
            if not _is_there(path):
                _create_database(path, root)
    check_sqlite(path)
    check_server(uri)
    return Store(uri, root)


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a file next to `path` for a block, creating the folder if it is missing."""
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise TrackingError(
            f"Cannot open {path}: another process has locked it for {LOCK_SECONDS} seconds; "
            f"end that process, or delete {error.lock_file} if there is none."
        ) from error
    except OSError as error:
        raise TrackingError(
            f"Cannot store runs in {path.parent}: {reason(error)}; choose another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _create_database(path: Path, root: Path) -> None:
    """Create the database under another name, then rename it, so that an incomplete one is never used."""
    draft = path.with_name(f".{path.name}.draft")
    for leftover in path.parent.glob(f"{draft.name}*"):  # including its journal, which SQLite would replay
        leftover.unlink()
    try:
        with translated(f"create {path}"):
            create_database(sqlite_uri(draft), root.as_uri())
            draft.replace(path)
    except TrackingError:  # perhaps of a full disk
        for leftover in path.parent.glob(f"{draft.name}*"):
            discard(leftover)
        raise
