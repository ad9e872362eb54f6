"""The storage of studies: SQLite in the folder of the results by default, a database server, or a journal file.

SQLite runs with a write-ahead log that is synced at checkpoints only: four workers finish two to three times as
many trials a second. A killed process loses nothing; a power cut may lose the last seconds, never the file.
"""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import URL, Engine, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from flowersweep.config.locations import STUDIES_NAME
from flowersweep.doors.optuna_api import engine_storage, wants_upgrade
from flowersweep.doors.optuna_database import Database, has_tables
from flowersweep.errors import InfrastructureError, SweepError, SweepStoppedError
from flowersweep.hardware import network_file_system
from flowersweep.redaction import learn
from flowersweep.sweep.storage.journal import Journal
from flowersweep.sweep.storage.lock import engine_lock
from flowersweep.sweep.storage.mysql import exact_texts
from flowersweep.sweep.storage.patience import STORAGE_FAILURES, cause, is_passing, patient, patiently
from flowersweep.sweep.storage.silence import connect_args, limit_silence
from flowersweep.texts import expanded

# SQLite waits in C, where no signal arrives; a longer wait is that of `patience`.
SQLITE_BUSY_SECONDS = 2.0
# How long the start of a sweep waits for another program that uses the file.
SQLITE_OPEN_SECONDS = 60.0

GOES_ON = "The sweep was stopped; the same command resumes it."

_JOURNAL_PREFIX = "journal:"
_JOURNAL_SUFFIXES = (".log", ".journal")
_SETTING = "hydra.sweeper.storage"


def storage_url(configured: str | None, directory: Path) -> str:
    """Return the storage with all defaults filled in, independent of the current directory.

    Args:
        configured: `hydra.sweeper.storage`: an SQLAlchemy URL, `journal:PATH`, a path that ends in .log or
            .journal, or None for `optuna.db` in `directory`.
        directory: `tracking.dir`.

    Raises:
        SweepError: It is none of these.
    """
    learn(configured)
    if configured is None:
        return _sqlite_url(expanded(directory).absolute() / STUDIES_NAME)
    path = configured.removeprefix(_JOURNAL_PREFIX)
    if path != configured or ("://" not in configured and configured.endswith(_JOURNAL_SUFFIXES)):
        return f"{_JOURNAL_PREFIX}{expanded(path).absolute()}"
    url = _parsed(configured)
    if url.get_backend_name() != "sqlite":
        return configured
    if not url.database or url.database == ":memory:":
        raise SweepError(
            f"{_SETTING}={configured} exists in one process only, but a sweep has several; "
            "name a file, as in sqlite:///optuna.db, or leave it out."
        )
    return _sqlite_url(expanded(url.database).absolute())


def open_storage(configured: str | None, directory: Path) -> BaseStorage:
    """Open the storage of studies; create its folders, file and tables if they are missing.

    Args:
        configured: As for `storage_url`.
        directory: `tracking.dir`.

    Raises:
        SweepError: The storage is malformed, cannot be reached or written, or belongs to another program.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = storage_url(configured, directory)
    if url.startswith(_JOURNAL_PREFIX):
        return _open_journal(Path(url.removeprefix(_JOURNAL_PREFIX)))
    return _open_database(_parsed(url))


def existing_storage(configured: str | None, directory: Path) -> BaseStorage:
    """Open a storage that a sweep has created.

    Args:
        configured: As for `storage_url`.
        directory: `tracking.dir`.

    Raises:
        SweepError: As for `open_storage`, or there is no such file.
    """
    url = storage_url(configured, directory)
    is_journal = url.startswith(_JOURNAL_PREFIX)
    path = url.removeprefix(_JOURNAL_PREFIX) if is_journal else _parsed(url).database
    if (is_journal or _parsed(url).get_backend_name() == "sqlite") and not Path(str(path)).exists():
        raise SweepError(
            f"There are no studies in {path}; name the sweep's storage with storage=URL, or the folder of its results "
            "with tracking.dir=DIR."
        )
    return open_storage(url, directory)


@contextmanager
def closing_storage(storage: BaseStorage) -> Iterator[BaseStorage]:
    """A block with a storage whose connections are closed at its end; Optuna never closes them.

    Args:
        storage: From `open_storage`.
    """
    try:
        yield storage
    finally:
        close_connections(storage)


def close_connections(storage: BaseStorage) -> None:
    """Close the connections of a storage that nobody uses at the moment; they are opened again when they are needed."""
    database = engine_storage(storage)
    if isinstance(database, RDBStorage):
        database.remove_session()
        database.engine.dispose()


def shown(url: str) -> str:
    """The storage for messages and logs: without its password."""
    return url if url.startswith(_JOURNAL_PREFIX) else _parsed(url).render_as_string(hide_password=True)


@contextmanager
def stopped_in_words() -> Iterator[None]:
    """Turn an infrastructure failure of a running sweep into a message that says how to resume the sweep.

    Raises:
        SweepStoppedError: The storage, the tracking store or the disk failed in the block.
    """
    try:
        yield
    except (InfrastructureError, OSError) as error:
        raise SweepStoppedError(f"{GOES_ON} {str(error).rstrip('.') or type(error).__name__}.") from error
    except STORAGE_FAILURES as error:
        what, then = (
            ("no longer responds", "it does")
            if is_passing(error)
            else ("refused a request", "that is repaired")
        )
        raise SweepStoppedError(
            f"The storage of the sweep {what}: {cause(error)}; the same command resumes the sweep when {then}."
        ) from error


class SqliteConnection(sqlite3.Connection):
    """A connection with settings for several writing processes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")


def _open_journal(path: Path) -> BaseStorage:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = Journal(path)
    except OSError as error:
        raise SweepError(
            f"{path} cannot be used as the sweep's storage: {error.strerror or error}; "
            f"make it writable or name another file with {_SETTING}=journal:PATH."
        ) from error
    except (ValueError, KeyError, AttributeError) as error:
        raise SweepError(
            f"{path} is not a journal of Optuna; name another file with {_SETTING}=journal:PATH."
        ) from error
    return patient(storage, path)


def _open_database(url: URL) -> BaseStorage:
    is_file = url.get_backend_name() == "sqlite"
    with _explained(url):
        if is_file:
            _refuse_network(Path(str(url.database)))
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        opened = patiently(lambda: _opened(url), at_least=SQLITE_OPEN_SECONDS if is_file else 0)
        return patient(opened, Path(str(url.database)) if is_file else None)


def _refuse_network(path: Path) -> None:
    """Refuse a SQLite file on a file system whose locks and shared memory do not work between machines.

    Raises:
        SweepError: It is on one.
    """
    if (kind := network_file_system(path)) is not None:
        raise SweepError(
            f"{path} is on {kind}, a network file system, where several processes may damage a SQLite file; choose a file "
            f"on a local disk with {_SETTING}=sqlite:////PATH, a journal with {_SETTING}=journal:{path.with_suffix('.log')}, "
            f"or a server, as in {_SETTING}=postgresql+psycopg://USER@HOST/NAME."
        )


def _opened(url: URL) -> Database:
    arguments: dict[str, Any] = {"connect_args": _connect_args(url)}
    if url.get_backend_name() != "sqlite":
        # A server may close a connection during a long trial, and a restarted one has closed all of them.
        arguments["pool_pre_ping"] = True
    engine, address = create_engine(url, **arguments), url.render_as_string(hide_password=False)
    limit_silence(engine)
    try:
        _refuse_other_programs(engine, url)
        if has_tables(engine):
            # Many workers may start at once, and creating tables takes a while even if there are some.
            storage = Database(address, arguments, skip_table_creation=True)
        else:
            # Processes that create the tables at the same time would fail.
            with engine_lock(engine):
                storage = Database(address, arguments)
                if url.get_backend_name() == "mysql":
                    exact_texts(engine)
    finally:
        engine.dispose()
    limit_silence(storage.engine)
    return storage


def _connect_args(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": SQLITE_BUSY_SECONDS, "factory": SqliteConnection}
    return connect_args(url)


def _refuse_other_programs(engine: Engine, url: URL) -> None:
    tables = set(inspect(engine).get_table_names())
    if "experiments" in tables and "studies" not in tables:
        raise SweepError(
            f"{url.render_as_string()} contains MLflow's tables, and studies must not be in the same database; "
            f"name another database with {_SETTING}=URL, or leave it out."
        )


@contextmanager
def _explained(url: URL) -> Iterator[None]:
    """Turn errors while a database is opened into one message."""
    name = url.render_as_string(hide_password=True)
    try:
        yield
    except ImportError as error:
        raise SweepError(
            f"{_SETTING}={name} needs a Python package that is missing ({error.name or error}); "
            "install it, or name its driver in the URL, as in postgresql+psycopg://."
        ) from error
    except STORAGE_FAILURES as error:
        said = cause(error)
        is_refused = any(words in said.lower() for words in ("authentication", "access denied"))
        remedy = "its user and password" if is_refused else "that it is running and writable"
        raise SweepError(
            f"The storage {name} cannot be opened: {said}; check {remedy}, or name another one with {_SETTING}=URL."
        ) from error
    except RuntimeError as error:
        raise SweepError(f"The storage {name} was made by {_other_version(error, url)}") from error


def _other_version(refusal: RuntimeError, url: URL) -> str:
    """Which version of Optuna created a storage that this one rejects, and how to fix it; the end of a message."""
    if not wants_upgrade(refusal):  # the version of its tables is unknown to this Optuna
        return (
            f"a newer version of Optuna than {optuna.__version__}, which is installed; update flowersweep and its dependencies, "
            f"or name another storage with {_SETTING}=URL."
        )
    name = shlex.quote(url.render_as_string(hide_password=True))
    path = str(url.database)
    is_file = url.get_backend_name() == "sqlite"
    copy = f"cp {shlex.quote(path)} {shlex.quote(f'{path}.old')} && " if is_file else ""
    first = "upgrade it" if is_file else "make a copy of it and upgrade it"
    return f"an older version of Optuna; {first} with: {copy}optuna storage upgrade --storage {name}"


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise SweepError(
            f"{_SETTING}={url} is not a storage; use an SQLAlchemy URL such as sqlite:///optuna.db or "
            "postgresql+psycopg://USER@HOST/NAME, journal:PATH, or leave it out for the file in tracking.dir."
        ) from error
    # Optuna supports MySQL under this name only.
    return parsed.set(drivername=parsed.drivername.replace("mariadb", "mysql", 1))


def _sqlite_url(path: Path) -> str:
    return URL.create("sqlite", database=str(path)).render_as_string()
