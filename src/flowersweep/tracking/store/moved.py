"""Correction of addresses in a folder of results that was moved or copied: MLflow's database stores absolute ones.

Only addresses below the `artifacts/` folder of a store are checked. Files that are stored elsewhere on purpose (on a server,
in a bucket, in another existing folder) are not changed.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from flowersweep.config.pasting import pasted
from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import ADDRESSES

ARTIFACTS = "artifacts"

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
_PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Corrected:
    """The result of `correct`.

    Attributes:
        addresses: The number of corrected addresses.
        old: The previous folders of the results.
        kept: The backup of the database.
    """

    addresses: int
    old: tuple[str, ...]
    kept: Path


def refuse_moved(database: Path) -> None:
    """Raise TrackingError if a run would write its files into the previous folder of the results.

    Args:
        database: The database of MLflow in the folder of results.
    """
    if old := old_folders(database):
        raise TrackingError(
            f"The results in {database.parent} were moved or copied from {' and '.join(old)}, where their files would still "
            f"be searched for and new ones be written; correct the addresses with: {command(database.parent)}"
        )


def command(folder: Path) -> str:
    """The shell command that corrects the addresses of a folder of results."""
    return f"python -m flowersweep doctor --fix {pasted('tracking.dir', str(folder))}"


def old_folders(database: Path) -> list[str]:
    """The previous folders of the results of a database; empty if all addresses are correct."""
    with _opened(database, "ro") as connection:
        return sorted({_folder(root) for root in _moved_roots(connection, database)})


def correct(database: Path) -> Corrected | None:
    """Back up a database and correct its addresses to the files next to it; None if they are already correct.

    Raises:
        TrackingError: The database cannot be written.
    """
    with _opened(database, "rw") as connection:
        roots = _moved_roots(connection, database)
        if not roots:
            return None
        kept = back_up(database)
        connection.execute("BEGIN IMMEDIATE")
        count = sum(
            _correct_column(connection, table, column, root, database.parent.resolve() / ARTIFACTS)
            for table, column in _columns(connection)
            for root in roots
        )
        connection.commit()
    return Corrected(count, tuple(sorted(map(_folder, roots))), kept)


def back_up(database: Path) -> Path:
    """Copy a SQLite file, which may be in use, to an unused name next to it, and return that name.

    Raises:
        TrackingError: It cannot be read, or the copy not be written.
    """
    kept = _unused(database.with_name(f"{database.stem}-before-fix{database.suffix}"))
    with _opened(database, "ro") as connection, closing(sqlite3.connect(kept)) as copy:
        connection.backup(copy)
    return kept


def _correct_column(connection: sqlite3.Connection, table: str, column: str, root: str, here: Path) -> int:
    """Replace an old root if its files do not exist there any more, or also exist here."""
    begins = f"substr({column}, 1, {len(root) + 1}) IN (?, ?)"
    found = connection.execute(
        f"SELECT rowid, {column} FROM {table} WHERE {begins}",  # noqa: S608 - the names are constants
        (f"{root}/", f"{root}\\"),
    ).fetchall()
    pairs = [(_address(here, root, old[len(root) + 1 :]), old, row) for row, old in found]
    rows = [(new, row) for new, old, row in pairs if _exists(new) or not _exists(old)]
    connection.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", rows)  # noqa: S608 - as above
    return len(rows)


def _address(here: Path, root: str, rest: str) -> str:
    """The address below a folder of a file that was below an old root; that of a file: address is already percent-encoded."""
    rest = rest.replace("\\", "/")
    return f"{here.as_uri()}/{rest}" if root.startswith("file:") else (here / rest).as_uri()


def _moved_roots(connection: sqlite3.Connection, database: Path) -> list[str]:
    """The addresses of previous `artifacts/` folders, as they are stored in the database."""
    placed: dict[str, list[str]] = {}
    for (location,) in connection.execute("SELECT DISTINCT artifact_location FROM experiments"):
        root, _, name = re.sub(r"[\\/]+$", "", location or "").replace("\\", "/").rpartition("/")
        if name and root.endswith(f"/{ARTIFACTS}") and _path(location) is not None:
            placed.setdefault(location[: len(root)], []).append(name)
    return [root for root, names in placed.items() if _is_moved(root, names, database)]


def _is_moved(root: str, names: list[str], database: Path) -> bool:
    old, here = _path(root), database.parent.resolve() / ARTIFACTS
    if old is None or old.resolve() == here:
        return False
    if not old.exists():
        return True
    # The old folder still exists: this is a copy if the files are here too, or if the old folder has its own database.
    return (old.parent / database.name).exists() or any(_exists(_address(here, root, name)) for name in names)


def _path(location: str) -> Path | None:
    """The path of an address of this machine, or of Windows if it comes from another one; None for a bucket or a server."""
    if _WINDOWS.match(location):
        return Path(location)
    parts = urlsplit(location)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return Path(url2pathname(parts.path))
    return Path(location) if location.startswith("/") else None


def _exists(location: str) -> bool:
    path = _path(location)
    return path is not None and path.exists()


def _folder(root: str) -> str:
    """The folder of results with the files of a root, for messages."""
    return (
        root.replace("\\", "/").rpartition("/")[0]
        if _WINDOWS.match(root)
        else str((_path(root) or Path(root)).parent)
    )


def _columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    for table, column in ADDRESSES:
        if any(column == row[1] for row in connection.execute(f"PRAGMA table_info({table})")):
            yield table, column


def _unused(path: Path) -> Path:
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(2, 10_000))
    return next(one for one in (path, *numbered) if not one.exists())


@contextmanager
def _opened(database: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """A connection for the duration of a block; errors of SQLite are raised as TrackingError."""
    address = f"{database.resolve().as_uri()}?mode={mode}"
    try:
        with closing(
            sqlite3.connect(address, uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None)
        ) as connection:
            yield connection
    except sqlite3.Error as error:
        raise TrackingError(
            f"Cannot use {database}: {error}; end the program that uses it, or give the right to write there."
        ) from error
