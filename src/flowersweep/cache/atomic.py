"""Files and folders of the cache that are either complete or absent, whatever interrupts their writer.

A writer holds the lock next to the target, writes to the target's name with `.part` appended and renames at the
end. A killed process leaves at most a lock file and a `.part`, which the next writer overwrites.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flowersweep.errors import DataError

_log = logging.getLogger(__name__)


def part_of(target: Path) -> Path:
    """The name under which `target` is written until it is complete."""
    return target.with_name(f"{target.name}.part")


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other processes from building `target` at the same time; wait for one that does.

    Raises:
        DataError: The folder of `target` cannot be written to.
    """
    lock = FileLock(f"{target}.lock")
    with cache_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            _log.info("Waiting for another process that is preparing %s.", target)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` if the block succeeds and is removed otherwise.

    Must be used inside `locked(target)`.
    """
    part = part_of(target)
    try:
        with cache_errors(target):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            yield part
            part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def write_json(target: Path, value: Any) -> None:
    """Write a small JSON file; if several processes write at once, the last one wins.

    Raises:
        DataError: The folder of `target` cannot be written to.
    """
    with cache_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def read_json(source: Path) -> dict[str, Any] | None:
    """The object stored in a JSON file, or None if the file is absent, damaged, or contains something else."""
    try:
        value = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def cache_errors(target: Path) -> Iterator[None]:
    """Turn an operating system's error while writing `target` into a DataError that says what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{target} cannot be written: {error.strerror or error}; free some space or make it writable, "
            "or choose another cache folder with paths.cache=PATH or FLOWERSWEEP_CACHE."
        ) from error


def require_space(target: Path, needed: int) -> None:
    """Check before long work that `needed` more bytes fit next to `target`, whose folder must exist.

    Raises:
        DataError: They do not.
    """
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        raise DataError(
            f"{target} needs {needed / 1e6:,.0f} MB but only {free / 1e6:,.0f} MB are free; free some space, "
            "or choose another cache folder with paths.cache=PATH or FLOWERSWEEP_CACHE."
        )
