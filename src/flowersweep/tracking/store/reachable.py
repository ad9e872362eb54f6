"""Checks that a tracking store can be used, within the time set by `patience`; MLflow alone would retry for minutes."""

import shlex
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted
from flowersweep.tracking.failure import is_passing, reason
from flowersweep.tracking.mlflow_api import BUSY_MILLISECONDS, client, environment, is_of_older_version, quiet
from flowersweep.tracking.patience import patiently, waited

# A server that many workers use, or that has just started, may need several seconds; nobody waits longer for a wrong address.
PROBE_SECONDS = 10


def check_sqlite(path: Path) -> None:
    """Raise TrackingError unless the file is a database of MLflow, which itself would retry for a minute and a half."""

    def find_tables() -> list[tuple[str]]:
        with closing(sqlite3.connect(path, timeout=BUSY_MILLISECONDS / 1000)) as database:
            return database.execute("SELECT name FROM sqlite_master WHERE name = 'experiments'").fetchall()

    try:
        tables = patiently(find_tables)
    except sqlite3.Error as error:
        if is_passing(error):
            raise TrackingError(
                f"{path} is locked by another program{waited()}; end that program (a database "
                "browser with unsaved changes, for instance), or choose another folder with tracking.dir=DIR. On a "
                "network disk locks may never be released; use a local disk."
            ) from error
        raise TrackingError(
            f"Cannot open {path} as a database: {error}; move the file away or choose another folder."
        ) from error
    if not tables:
        raise TrackingError(f"{path} is a database, but not one of MLflow; choose another file.")


def check_database(uri: str, scheme: str) -> None:
    """Raise TrackingError if the database server does not answer."""
    import sqlalchemy

    timeout = {} if scheme == "mssql" else {"connect_timeout": PROBE_SECONDS}
    try:
        engine = sqlalchemy.create_engine(uri, connect_args=timeout)
        patiently(lambda: engine.connect().close())
        engine.dispose()
    except ModuleNotFoundError as error:
        raise TrackingError(f"Cannot use {scheme} for runs: install its driver, {error.name}.") from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise TrackingError(
            f"Cannot reach the database {redacted(uri)}: {reason(error)}; is it running and is the "
            "address right?"
        ) from error


def check_server(uri: str) -> None:
    """Request one experiment from the store; raise TrackingError if there is no answer."""
    quiet()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PROBE_SECONDS)}
    try:
        with environment(quick):
            client(uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        shown = redacted(uri)
        if (older := is_of_older_version(error)) is not None:
            raise TrackingError(f"{shown} was made by {_other_version(shown, older=older)}") from error
        raise TrackingError(
            f"Cannot use {shown} as a tracking store: {reason(error)}; is it running and is the address right?"
        ) from error


def _other_version(uri: str, *, older: bool) -> str:
    """The end of a message about a database of another version of MLflow: which version, and how to fix it."""
    if not older:
        return (
            f"a newer version of MLflow than {version('mlflow')}, which is installed; update flowersweep and its dependencies, "
            "or choose another folder with tracking.dir=DIR."
        )
    path = uri.removeprefix("sqlite:///")
    copy = f"cp {shlex.quote(path)} {shlex.quote(f'{path}.old')} && " if path != uri else ""
    first = "upgrade it" if copy else "make a copy of it and upgrade it"
    return f"an older version of MLflow; {first} with: {copy}python -m mlflow db upgrade {shlex.quote(uri)}"
