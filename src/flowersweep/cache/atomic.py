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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flowersweep.cache.kinds import CHECKPOINTS
from flowersweep.errors import DataError, NoSpaceError, disk_of, is_full
from flowersweep.hardware import available_memory

_SPACE = "free some space there (`python -m flowersweep cache prune --max-size 5GB` removes what was not used recently)"

# How often a folder is created that another process removes before its first file is in it.
_ATTEMPTS = 100

_log = logging.getLogger(__name__)


def part_of(target: Path) -> Path:
    """The name under which `target` is written until it is complete."""
    return target.with_name(f"{target.name}.part")


def discard(file: Path) -> None:
    """Remove a file that is not needed any more, if there is one; that it cannot be removed stops nobody."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        # A read-only file system also refuses to remove what is not there.
        level = logging.WARNING if os.path.lexists(file) else logging.DEBUG
        _log.log(level, "%s is not needed any more and cannot be removed (%s).", file, error.strerror)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other processes from building `target` at the same time; wait for one that does.

    On a disk without space even for the lock there is none: what the block writes does not fit either.

    Raises:
        DataError: The folder of `target` cannot be written to.
    """
    lock = FileLock(f"{target}.lock")
    with suppress(NoSpaceError), cache_errors(target):
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
def new_file(target: Path) -> Iterator[Path]:
    """Yield the name of a file that becomes `target` if the block succeeds and is removed otherwise.

    Must be used inside `locked(target)`, unless only one process writes `target`.
    """
    part = part_of(target)
    try:
        with cache_errors(target):
            yield part
            part.replace(target)
    finally:
        discard(part)


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
        handle, name = _temporary_file(target)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file)
            Path(name).replace(target)
        except BaseException:
            discard(Path(name))
            raise


def _temporary_file(target: Path) -> tuple[int, str]:
    """Create a file next to `target`, and their folder, which another process may remove whenever it is empty."""

    def create() -> tuple[int, str]:
        target.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".part")

    for _ in range(_ATTEMPTS):
        with suppress(FileNotFoundError, FileExistsError):
            return create()
    return create()


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
        why = f"{target} cannot be written: {error.strerror or error}"
        if is_full(error):
            raise NoSpaceError(f"{why} on {disk_of(target)}; {_SPACE}, or {_elsewhere(target)}") from error
        raise DataError(f"{why}; make it writable, or {_elsewhere(target)}") from error


def _elsewhere(target: Path) -> str:
    if CHECKPOINTS.folder in {target.name, target.parent.name}:
        return "choose another folder with paths.checkpoints=PATH."
    return "choose another cache folder with paths.cache=PATH or FLOWERSWEEP_CACHE."


def require_space(target: Path, needed: int) -> None:
    """Check before long work that `needed` more bytes fit next to `target`, whose folder must exist.

    Raises:
        NoSpaceError: They do not.
    """
    if shutil.disk_usage(target.parent).free < needed:
        raise NoSpaceError(
            f"{target} needs {needed / 1e6:,.0f} MB on {disk_of(target)}; {_SPACE}, or {_elsewhere(target)}"
        )


@contextmanager
def optional(consequence: str) -> Iterator[None]:
    """Go on if no space is left for what the block writes into the cache, and say so in one line.

    Args:
        consequence: What follows, as a sentence.
    """
    try:
        yield
    except NoSpaceError as error:
        _log.warning("%s %s", error, consequence)


def require_memory(needed: int, error: NoSpaceError) -> None:
    """Check that half of the free memory holds what does not fit into the cache; raise the error otherwise."""
    if needed > available_memory() / 2:
        raise error
