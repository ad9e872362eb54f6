"""What an error of MLflow says, and whether waiting may fix it."""

import re
import sqlite3
from typing import Any

# SQLAlchemy puts a remark in a line of its own before the reason, and the kind of error before its words.
_REMARK = "(raised as a result of Query-invoked autoflush"
_KIND = re.compile(r"^\(sqlite3\.\w+\) ")

# What a database server says that waiting does not fix.
_LASTING = (
    "access denied",
    "authentication",
    "does not exist",
    "full",
    "no space",
    "permission",
    "read-only",
    "unknown database",
)
# MLflow downloads in threads, of whose errors it hands on the texts only.
_CUT_OFF = ("max retries exceeded", "connection aborted", "connection broken", "timed out")


def reason(error: BaseException) -> str:
    """Return the first line of an error's text without its full stop, or its type if it has none."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith(_REMARK)]
    return _KIND.sub("", lines[0]).rstrip(". ") if lines else type(error).__name__


def is_passing(error: BaseException | None) -> bool:
    """Whether the same request may succeed a little later: a lock, a server that is away or busy."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    import requests
    from mlflow.exceptions import MlflowException, RestException
    from sqlalchemy.exc import DBAPIError

    away = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.RetryError,  # it answered 429 or 5xx
        requests.exceptions.ChunkedEncodingError,
        ConnectionError,
        TimeoutError,
    )
    while error is not None:
        if isinstance(error, DBAPIError):
            return (
                is_passing(error.orig) if isinstance(error.orig, sqlite3.Error) else _passes_at_server(error)
            )
        if isinstance(error, away):
            return True
        if isinstance(error, RestException):
            return bool(error.get_http_status_code() in {429, 503})
        if isinstance(error, MlflowException) and any(words in str(error).lower() for words in _CUT_OFF):
            return True
        error = error.__cause__ or error.__context__  # MLflow does not always say `from`
    return False


def _passes_at_server(error: Any) -> bool:
    from sqlalchemy.exc import InterfaceError, OperationalError

    lost = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return lost and not any(words in str(error.orig).lower() for words in _LASTING)
