"""One lock per storage, taken by every worker of every sweep on it: counting and asking must be one step.

It is released if its holder is killed: by the operating system for a file, by the end of the transaction in a database.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from flowersweep.doors.optuna_api import engine_storage
from flowersweep.doors.optuna_cache import one_step
from flowersweep.errors import SweepError
from flowersweep.sweep.storage.journal import Journal
from flowersweep.sweep.storage.patience import patiently, until_stopped

Answer = TypeVar("Answer")

# How long one question to a server waits for the lock. A worker that was told to stop notices it in between.
ASK_SECONDS = 2
# Steps under the lock take milliseconds; a holder that needs longer was paused, and its storage counts as away.
LOCK_SECONDS = 30.0
SUPPORTED = ("sqlite", "postgresql", "mysql", "mariadb")

_NAME = "flowersweep"
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's code for a lock that was not acquired in time
_IN_PROCESS = threading.Lock()


def locked(storage: BaseStorage, step: Callable[[], Answer], *, alone: bool = True) -> Answer:
    """Do a step under the lock of a storage; if the storage fails meanwhile, wait for it and repeat the step.

    The lock may be lost together with the connection, so the step is repeated as a whole, with the lock taken again. On
    PostgreSQL, a step is one transaction: nothing of a step that has failed is stored.

    Args:
        storage: From `open_storage`.
        step: Must be safe to repeat after it failed at any point.
        alone: Whether it reads or writes what belongs to several trials. Steps that write about a trial of this process,
            of which every worker takes many, exclude only those; with PostgreSQL, they do not exclude each other.

    Raises:
        SweepError: As for `storage_lock`.
        TimeoutError: Another process holds the lock for too long, also after waiting as long as `patience` allows.
    """

    def attempt() -> Answer:
        with storage_lock(storage, alone=alone) as held, one_step(storage, held, alone=alone):
            return step()

    return patiently(attempt)


def storage_lock(storage: BaseStorage, *, alone: bool = True) -> AbstractContextManager[object]:
    """Return the lock of a storage, to be used in a `with` statement; it waits for other holders and cannot be nested.

    On PostgreSQL, the block gets the connection that holds the lock, for as long as its transaction lasts.

    Args:
        storage: From `open_storage`.
        alone: As for `locked`.

    Raises:
        SweepError: There is no lock for this kind of storage that all its users share.
    """
    storage = engine_storage(storage)
    if isinstance(storage, RDBStorage):
        return engine_lock(storage.engine, alone=alone)
    if isinstance(storage, Journal):
        return file_lock(storage.path)
    if isinstance(storage, InMemoryStorage):
        return _IN_PROCESS
    raise SweepError(
        f"A sweep cannot use a {type(storage).__name__}: its workers could not lock it together; "
        f"use SQLite, PostgreSQL, MySQL or a journal file."
    )


@contextmanager
def file_lock(target: Path) -> Iterator[None]:
    """Hold the lock next to a file of a storage.

    Raises:
        TimeoutError: Another process holds it for too long, or this one was told to stop while it waited.
    """
    # Others hold it for milliseconds, so the default of polling every 50 ms would dominate.
    lock = FileLock(f"{target}.study.lock", poll_interval=0.005)
    try:
        lock.acquire(timeout=LOCK_SECONDS, cancel_check=until_stopped())
    except Timeout:
        raise _held() from None
    try:
        yield
    finally:
        lock.release()


def _held() -> TimeoutError:
    return TimeoutError("another process holds the lock of the studies")


def _wait_until(acquired: Callable[[], bool]) -> None:
    """Ask for a lock again and again; each question waits for it itself."""
    until, gives_up = time.monotonic() + LOCK_SECONDS, until_stopped()
    while not acquired():
        if gives_up() or time.monotonic() > until:
            raise _held()


def engine_lock(engine: Engine, *, alone: bool = True) -> AbstractContextManager[object]:
    """The lock of a database, shared by all its users; see `storage_lock`."""
    if engine.dialect.name == "sqlite":
        return file_lock(Path(engine.url.database)) if engine.url.database else nullcontext()
    if engine.dialect.name == "postgresql":
        return _postgresql(engine, alone=alone)
    if engine.dialect.name in {"mysql", "mariadb"}:
        return _mysql(engine)
    raise SweepError(
        f"A sweep cannot use a {engine.dialect.name} database; hydra.sweeper.storage must be "
        f"one of {', '.join(SUPPORTED)}, or a journal file."
    )


@contextmanager
def _postgresql(engine: Engine, *, alone: bool) -> Iterator[Connection]:
    """Hold an advisory lock for one transaction, which also works with a pooler that shares connections."""
    key = int.from_bytes(hashlib.sha256(_NAME.encode()).digest()[:8], "big", signed=True)
    limit = text("SELECT set_config('lock_timeout', :limit, true)")
    lock = text(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}(:key)")
    # With other levels, the transaction would not see what the last holder of the lock has stored while it waited.
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:

        def acquired() -> bool:
            connection.execute(limit, {"limit": f"{ASK_SECONDS}s"})
            try:
                connection.execute(lock, {"key": key})
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", getattr(error.orig, "pgcode", "")) != _LOCK_NOT_AVAILABLE:
                    raise
                connection.rollback()
                return False
            return True

        _wait_until(acquired)
        yield connection
        connection.commit()


@contextmanager
def _mysql(engine: Engine) -> Iterator[None]:
    """Hold a named lock; the name contains the database because MySQL's lock names are global to the server.

    Raises:
        SweepError: The server does not say whether the lock was acquired, for example when memory is low.
    """
    digest = hashlib.sha256(f"{engine.url.database}".encode()).hexdigest()[:16]
    name = f"{_NAME}-{digest}"
    with engine.connect() as connection:

        def acquired() -> bool:
            # Repeated: MariaDB does not accept the negative number with which MySQL waits without limit.
            asked = text("SELECT GET_LOCK(:name, :seconds)")
            got = connection.scalar(asked, {"name": name, "seconds": ASK_SECONDS})
            if got is None:
                raise SweepError(
                    f"The database {engine.url.render_as_string()} did not say whether it can lock the studies; "
                    "restart the sweep, or see the server's log."
                )
            return bool(got == 1)

        _wait_until(acquired)
        try:
            yield
        finally:
            connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": name})
