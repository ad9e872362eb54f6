"""The reason of an error of MLflow, and whether waiting may fix it."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flowersweep.errors import is_full, with_disk

# SQLAlchemy writes a remark on a separate line before the reason, and the kind of error before its text.
_REMARK = "(raised as a result of Query-invoked autoflush"
_KIND = re.compile(r"^\(sqlite3\.\w+\) ")

# Parts of messages of database servers that waiting does not fix.
_LASTING = (
    "authentication",
    "denied",
    "does not exist",
    "full",
    "no space",
    "permission",
    "read-only",
    "unknown database",
)
# HTTP statuses of an answer that will be the same the next time.
_REFUSED = frozenset({400, 404, 409})
# Libraries by which MLflow stores artifacts without a server in between; it passes on their errors as they are.
_ARTIFACT_LIBRARIES = frozenset({"azure", "boto3", "botocore", "google"})
# MLflow downloads in threads and passes on only the text of their errors.
_CUT_OFF = ("max retries exceeded", "connection aborted", "connection broken", "timed out")


def reason(error: BaseException) -> str:
    """Return the first line of an error's text without its full stop, or its type if it has none; names a full disk."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith(_REMARK)]
    text = _KIND.sub("", lines[0]).rstrip(". ") if lines else type(error).__name__
    return with_disk(text, error, _file(error) if is_full(error) else None)


def _file(error: BaseException) -> Path | None:
    """The file that could not be written, as far as it is known: an artifact, or the tracking store in use."""
    if isinstance(error, OSError):
        return None if error.filename is None else Path(error.filename)
    import mlflow

    uri = mlflow.get_tracking_uri()
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def is_passing(error: BaseException | None) -> bool:
    """Whether the same request may succeed a little later: a lock, or a server that is unavailable or busy."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    import requests
    from mlflow.exceptions import MlflowException, RestException
    from sqlalchemy.exc import DBAPIError

    away = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.RetryError,  # the server answered 429 or 5xx
        requests.exceptions.ChunkedEncodingError,
        ConnectionError,
        TimeoutError,
    )
    for one in _causes(error):
        if isinstance(one, DBAPIError):
            return is_passing(one.orig) if isinstance(one.orig, sqlite3.Error) else _passes_at_server(one)
        if isinstance(one, away):
            return True
        if isinstance(one, RestException):
            return bool(one.get_http_status_code() in {429, 503})
        if isinstance(one, MlflowException) and any(words in str(one).lower() for words in _CUT_OFF):
            return True
    return False


def may_wait(error: BaseException) -> bool:
    """Whether what could not be stored can be stored later, once the store is back, unlocked, repaired, or has space.

    False if the store refuses the thing itself, such as another value for a param or a text that its database cannot
    contain, or has no such run; and for errors that are not those of a store.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DataError, SQLAlchemyError

    if any(isinstance(one, DataError) for one in _causes(error)):
        return False
    if isinstance(error, MlflowException) and error.get_http_status_code() in _REFUSED:
        return is_passing(error) or isinstance(error.__cause__, SQLAlchemyError | OSError)
    return is_of_store(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from; MLflow does not always use `from`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_of_store(error: BaseException) -> bool:
    """Whether MLflow, its database, a disk, or a library by which artifacts are stored has failed."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    library = type(error).__module__.partition(".")[0]
    return isinstance(error, MlflowException | SQLAlchemyError | OSError) or library in _ARTIFACT_LIBRARIES


def _passes_at_server(error: Any) -> bool:
    from sqlalchemy.exc import InterfaceError, OperationalError

    lost = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return lost and not any(words in str(error.orig).lower() for words in _LASTING)
