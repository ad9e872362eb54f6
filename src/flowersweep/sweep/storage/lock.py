"""One lock per storage, taken by every worker of every sweep on it: counting and asking must be one step.

It is released if its holder is killed: by the operating system for a file, by the end of the transaction in a database.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from sqlalchemy import Engine, text

from flowersweep.doors.optuna_api import engine_storage
from flowersweep.errors import SweepError
from flowersweep.sweep.storage.journal import Journal

ASK_SECONDS = 10
SUPPORTED = ("sqlite", "postgresql", "mysql", "mariadb")

_NAME = "flowersweep"
_IN_PROCESS = threading.Lock()


def storage_lock(storage: BaseStorage) -> AbstractContextManager[object]:
    """Return the lock of a storage, to be used in a `with` statement; it waits for other holders and cannot be nested.

    Raises:
        SweepError: There is no lock for this kind of storage that all its users share.
    """
    storage = engine_storage(storage)
    if isinstance(storage, RDBStorage):
        return engine_lock(storage.engine)
    if isinstance(storage, Journal):
        return file_lock(storage.path)
    if isinstance(storage, InMemoryStorage):
        return _IN_PROCESS
    raise SweepError(
        f"A sweep cannot use a {type(storage).__name__}: its workers could not lock it together; "
        f"use SQLite, PostgreSQL, MySQL or a journal file."
    )


def file_lock(target: Path) -> FileLock:
    """The lock next to a file of a storage."""
    # Others hold it for milliseconds, so the default of polling every 50 ms would dominate.
    return FileLock(f"{target}.study.lock", poll_interval=0.005)


def engine_lock(engine: Engine) -> AbstractContextManager[object]:
    """The lock of a database, shared by all its users."""
    if engine.dialect.name == "sqlite":
        return file_lock(Path(engine.url.database)) if engine.url.database else nullcontext()
    if engine.dialect.name == "postgresql":
        return _postgresql(engine)
    if engine.dialect.name in {"mysql", "mariadb"}:
        return _mysql(engine)
    raise SweepError(
        f"A sweep cannot use a {engine.dialect.name} database; hydra.sweeper.storage must be "
        f"one of {', '.join(SUPPORTED)}, or a journal file."
    )


@contextmanager
def _postgresql(engine: Engine) -> Iterator[None]:
    """Hold an advisory lock for one transaction, which also works with a pooler that shares connections."""
    key = int.from_bytes(hashlib.sha256(_NAME.encode()).digest()[:8], "big", signed=True)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        yield


@contextmanager
def _mysql(engine: Engine) -> Iterator[None]:
    """Hold a named lock; the name contains the database because MySQL's lock names are global to the server.

    Raises:
        SweepError: The server does not say whether the lock was acquired, for example when memory is low.
    """
    digest = hashlib.sha256(f"{engine.url.database}".encode()).hexdigest()[:16]
    name = f"{_NAME}-{digest}"
    with engine.connect() as connection:
        # Repeated: MariaDB does not accept the negative number with which MySQL waits without limit.
        asked = text("SELECT GET_LOCK(:name, :seconds)")
        while (got := connection.scalar(asked, {"name": name, "seconds": ASK_SECONDS})) != 1:
            if got is None:
                raise SweepError(
                    f"The database {engine.url.render_as_string()} did not say whether it can lock the studies; "
                    "restart the sweep, or see the server's log."
                )
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})
