"""Waiting for a storage that is locked or unavailable for a while: every call to it passes through `patiently`.

A step of several calls that must not be mixed with those of others is repeated as a whole, see `lock.locked`.
"""

import abc
import errno
import functools
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from flowersweep.doors.optuna_cache import cached
from flowersweep.errors import with_disk
from flowersweep.sweep.storage.limits import refuse

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# All errors with which a storage fails. Those of a new connection to SQLite reach the caller as they are.
STORAGE_FAILURES = (StorageInternalError, SQLAlchemyError, sqlite3.Error, OSError)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
# A server that has no connection left also needs time to refuse one.
_LONGEST_PAUSE_FULL = 60.0
_TICK = 0.1
# Other processes hold a lock for a moment, and one that stops has something to write.
_STOP_SECONDS = 3.0

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_AWAY = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EAGAIN})
# Parts of the messages of database servers that waiting does not fix.
_LASTING = (
    "authentication",
    "denied",
    "does not exist",
    "permission",
    "read-only",
    "unknown database",
)
# Parts of those of PostgreSQL, its poolers, MySQL and MariaDB if there are as many connections as are allowed.
_FULL = (
    "too many clients",
    "too many connections",
    "connection slots are reserved",
    "no more connections allowed",
)


@dataclass(frozen=True)
class _Patience:
    seconds: float = 0.0
    stopped: Callable[[], bool] = lambda: False


_NONE = _Patience()
_patience: ContextVar[_Patience] = ContextVar("storage_patience", default=_NONE)
_is_inside: ContextVar[bool] = ContextVar("inside_patiently", default=False)
_recovered = 0.0
_file: Path | None = None


@contextmanager
def patience(seconds: float, stopped: Callable[[], bool] | None = None) -> Iterator[None]:
    """Wait in this block, and in this thread, for a storage that does not respond; elsewhere there is one attempt.

    Args:
        seconds: The longest time.
        stopped: Returns True to end the wait at once; None for that of the surrounding block.
    """
    token = _patience.set(_Patience(seconds, stopped or _patience.get().stopped))
    try:
        yield
    finally:
        _patience.reset(token)


def is_stopped() -> bool:
    """Whether nobody must wait any longer, because the process was asked to stop."""
    return _patience.get().stopped()


def until_stopped() -> Callable[[], bool]:
    """A function that returns True when nobody must wait for a lock any longer; one for each wait."""
    since: float | None = None

    def gives_up() -> bool:
        nonlocal since
        if since is None and is_stopped():
            since = time.monotonic()
        return since is not None and time.monotonic() - since > _STOP_SECONDS

    return gives_up


def recovered() -> float:
    """When this process last saw a storage return that had been away, in seconds since the epoch; 0 if never."""
    return _recovered


def note_recovery() -> None:
    """Remember that a storage has returned: what others could not write until now does not mean that they are dead."""
    global _recovered  # noqa: PLW0603 - a process has one storage
    _recovered = time.time()


def cause(error: BaseException) -> str:
    """The first line of the driver's message, without SQLAlchemy's and Optuna's wrapping; names a disk that is full."""
    if is_full_server(error):
        return "its server allows no more connections; raise that limit, or put a pooler before it"
    while error.__cause__ is not None:
        error = error.__cause__
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    return with_disk(lines[0].rstrip(".;") if lines else type(original).__name__, original, _file)


def is_full_server(error: BaseException) -> bool:
    """Whether a database server refused a connection because it has as many as it allows."""
    found: BaseException | None = error
    while found is not None:
        if any(words in str(found).lower() for words in _FULL):
            return True
        found = found.__cause__
    return False


def is_passing(error: BaseException | None) -> bool:
    """Whether the same call may succeed later: a lock, a full disk, or a server that is stopped or restarts."""
    while error is not None:
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, sqlite3.Error):
            return getattr(original, "sqlite_errorcode", 0) & 0xFF in _BUSY
        if isinstance(error, DBAPIError):
            is_lost = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
            return is_lost and not any(words in str(original).lower() for words in _LASTING)
        if isinstance(error, OSError):
            return isinstance(error, TimeoutError | ConnectionError) or error.errno in _AWAY
        error = error.__cause__
    return False


def patiently(call: Callable[[], Answer], at_least: float = 0.0) -> Answer:
    """Call until the storage answers, for as long as `patience` allows; log the start and the end of the wait.

    Within another call of this function there is one attempt, because the outer one repeats all of it.

    Args:
        call: Uses the storage; must be safe to repeat after it failed at any point.
        at_least: Seconds to wait even if there is less patience.

    Raises:
        Exception: An error of `call` that waiting cannot fix, or that persists until the end of the time.
    """
    if _is_inside.get():
        return call()
    token = _is_inside.set(True)
    try:
        return _repeated(call, max(at_least, _patience.get().seconds))
    finally:
        _is_inside.reset(token)


def _repeated(call: Callable[[], Answer], limit: float) -> Answer:
    began: float | None = None
    pause = _FIRST_PAUSE
    while True:
        try:
            answer = call()
        except STORAGE_FAILURES as error:
            now = time.monotonic()
            left = (now if began is None else began) + limit - now
            if left <= 0 or is_stopped() or not is_passing(error):
                raise
            if began is None:
                began = now
                log.warning(
                    "The storage of the sweep does not respond (%s); waiting for it, up to %g seconds.",
                    cause(error),
                    limit,
                )
            # Many workers may wait: not all of them come back at the same time.
            _sleep(min(pause * random.uniform(0.5, 1.0), left))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE_FULL if is_full_server(error) else _LONGEST_PAUSE)
        else:
            if began is not None:
                note_recovery()
                log.warning("The storage of the sweep responds again after %.0f s.", time.monotonic() - began)
            return answer


def _sleep(seconds: float) -> None:
    until = time.monotonic() + seconds
    while not is_stopped() and (left := until - time.monotonic()) > 0:
        time.sleep(min(_TICK, left))  # a worker only notes a signal, so the sleep itself goes on


# Their second argument is a step, or the name of what they store.
_NAMED = frozenset(
    {
        "create_new_study",
        "set_study_system_attr",
        "set_study_user_attr",
        "set_trial_intermediate_value",
        "set_trial_param",
        "set_trial_system_attr",
        "set_trial_user_attr",
    }
)


def _patient(kind: type[BaseStorage]) -> type[BaseStorage]:
    """Give a class all methods of Optuna's storages; each calls its `backend` patiently."""

    def method(name: str) -> Callable[..., Any]:
        has_name = name in _NAMED

        @functools.wraps(getattr(BaseStorage, name), updated=())  # without the mark of an abstract method
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if has_name:
                refuse(args[1])
            return patiently(functools.partial(getattr(self.backend, name), *args, **kwargs))

        return call

    for name, member in vars(BaseStorage).items():
        if callable(member) and not name.startswith("_"):
            setattr(kind, name, method(name))
    return abc.update_abstractmethods(kind)


def patient(storage: BaseStorage, file: Path | None = None) -> BaseStorage:
    """A storage as one of which every call is made patiently; `file` is where it keeps its data, None for a server."""
    global _file  # noqa: PLW0603 - a process has one storage
    _file = file
    return PatientStorage(storage)  # type: ignore[abstract] # its methods were added by the decorator


@_patient
class PatientStorage(BaseStorage):
    """A storage of which every call waits for one that is locked or unavailable.

    Args:
        storage: The storage itself; it gets Optuna's cache if it is a database.

    Attributes:
        backend: The storage, with its cache.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self.backend = cached(storage)
