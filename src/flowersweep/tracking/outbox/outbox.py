"""The records of one run that wait on disk, in their order.

A folder with the name of the run has an append-only journal of JSON lines, the files that belong to them, and how far the
journal has been delivered. Every process may add and deliver; a lock lets one of them at a time do so.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from flowersweep.errors import TrackingError
from flowersweep.interrupt import uninterrupted
from flowersweep.tracking.outbox.record import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

JOURNAL = "records.jsonl"
_DELIVERED = "delivered"  # the number of bytes of the journal
_FILES = "files"


class Outbox:
    """The waiting records of a run.

    Args:
        places: Folders of outboxes; a record goes to the first one that can be written to, or to where later records are.
        run_id: The run.
    """

    def __init__(self, places: Sequence[Path], run_id: str) -> None:
        self.run_id = run_id
        self._folders = [place / run_id for place in places]

    @property
    def waiting_in(self) -> list[Path]:
        """The folders with records, in the order of their delivery; empty if nothing waits."""
        return [folder for folder in self._folders if (folder / JOURNAL).exists()]

    @property
    def place(self) -> Path:
        """Where the latest records wait, or the next one would; other processes may deliver them at any moment."""
        return [self._folders[0], *self.waiting_in][-1].parent

    def __len__(self) -> int:
        """The number of records."""
        number = 0
        for folder in self.waiting_in:
            with suppress(FileNotFoundError), (folder / JOURNAL).open("rb") as journal:
                journal.seek(_delivered(folder))
                number += sum(line.endswith(b"\n") for line in journal)
        return number

    def add(self, record: Record) -> None:
        """Append a record, with a copy of its file or folder; either all of it is there afterwards, or nothing.

        Raises:
            OSError: It cannot be written to any of the places.
        """
        *_, last = [0, *(index for index, one in enumerate(self._folders) if one in self.waiting_in)]
        trouble: OSError | None = None
        with uninterrupted():
            for folder in self._folders[last:]:
                try:
                    with _locked(folder):
                        _append(folder, record)
                except OSError as error:
                    trouble = trouble or error
                else:
                    return
        assert trouble is not None  # noqa: S101 (for the type checker; there is at least one place)
        raise trouble

    def deliver(self, service: "MlflowClient") -> Iterator[Record]:
        """Deliver the records in their order and yield each one that was; end with the first that cannot be delivered.

        Raises:
            Exception: The error of that record; it and those after it keep waiting.
        """
        for folder in self.waiting_in:
            yield from self._deliver(service, folder)

    def _deliver(self, service: "MlflowClient", folder: Path) -> Iterator[Record]:
        while True:
            with _locked(folder):
                position = 0
                while True:
                    record, end = _first(folder, position)
                    if record is None:
                        _remove(folder)
                        return
                    try:
                        record.deliver(service, self.run_id)
                    except (KeyError, TypeError) as error:  # a part of the line has another name or type
                        raise _damaged(folder, end, error) from error
                    if _noted(folder, record, end):
                        break
                    # A position that nobody else knows is true only while nobody else replaces the journal: the lock is kept.
                    position = end
                    yield record
            yield record


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_lock_file(folder)):
        yield


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _append(folder: Path, record: Record) -> None:
    name = None if record.content is None else f"{_FILES}/{uuid.uuid4().hex}/{record.content.name}"
    (folder / _FILES).mkdir(parents=True, exist_ok=True)
    try:
        if record.content is not None and name is not None:
            (folder / name).parent.mkdir()
            copy = shutil.copytree if record.content.is_dir() else shutil.copyfile
            copy(record.content, folder / name)
        with (folder / JOURNAL).open("ab", buffering=0) as journal:
            whole = _whole(folder)  # a process that was killed may have left a part of a line
            journal.truncate(whole)
            if not whole:  # an interrupted removal may have left how far the journal before was delivered
                (folder / _DELIVERED).unlink(missing_ok=True)
            try:
                _write(journal.fileno(), record.to_line(name).encode())
            except BaseException:
                journal.truncate(whole)
                raise
    except BaseException:
        if name is not None:
            shutil.rmtree((folder / name).parent, ignore_errors=True)
        if not _whole(folder):
            _remove(folder)
        raise


def _write(file: int, line: bytes) -> None:
    if os.write(file, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file)


def _whole(folder: Path) -> int:
    """The number of bytes of a journal that are complete lines."""
    try:
        return (folder / JOURNAL).read_bytes().rfind(b"\n") + 1
    except FileNotFoundError:
        return 0


def _delivered(folder: Path) -> int:
    try:
        number = int((folder / _DELIVERED).read_text(encoding="ascii"))
        return number if number <= (folder / JOURNAL).stat().st_size else 0
    except (FileNotFoundError, ValueError):  # all is delivered again, which stores nothing twice
        return 0


def _first(folder: Path, position: int) -> tuple[Record | None, int]:
    """The first record that was not delivered, and where its line ends; None if there is none."""
    try:
        with (folder / JOURNAL).open("rb") as journal:
            journal.seek(max(position, _delivered(folder)))
            line, end = journal.readline(), journal.tell()
    except FileNotFoundError:
        return None, 0
    if not line.endswith(b"\n"):  # the end, or a part of a line that a killed process left
        return None, 0
    try:
        return Record.from_line(line.decode(), folder), end
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, end, error) from error


def _damaged(folder: Path, end: int, error: Exception) -> TrackingError:
    return TrackingError(
        f"{folder / JOURNAL} is damaged before byte {end} ({error}); remove that line, or the folder and all that waits in it."
    )


def _noted(folder: Path, record: Record, end: int) -> bool:
    """Note that a record was delivered; if that is not possible, it may be delivered again."""
    draft = folder / f"{_DELIVERED}.part"
    try:
        draft.write_text(str(end), encoding="ascii")
        draft.replace(folder / _DELIVERED)
    except OSError:
        return False
    if record.content is not None:
        shutil.rmtree(record.content.parent, ignore_errors=True)
    return True


def _remove(folder: Path) -> None:
    """Remove a folder without records, the journal first; the lock is held."""
    (folder / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    _lock_file(folder).unlink(missing_ok=True)
