"""Optuna's journal file, made safe against writers that are killed in the middle of a line or while holding its lock."""

import os
from pathlib import Path

from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from flowersweep.sweep.storage.patience import until_stopped

# A writer needs milliseconds; one that needs longer was paused, and the journal counts as away.
WRITE_SECONDS = 30.0


class Journal(JournalStorage):
    """Studies in a journal file.

    Args:
        path: The journal; created if it is missing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(JournalFile(path))
        self.path = path


class JournalFile(JournalFileBackend):
    """A journal that is complete whenever a process starts to write to it.

    Optuna's own file always fails after an incomplete last line, and its lock is a symbolic link that stays for 30
    seconds after its process was killed. The operating system releases the lock used here together with its process.

    Args:
        path: The journal; created if it is missing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=_RepairingLock(path))
        with _RepairingLock(path):
            pass


class _RepairingLock(JournalFileOpenLock):
    """Lets one process write at a time, and removes what a killed one left after the last complete line."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._lock = FileLock(f"{path}.write.lock", poll_interval=0.002)

    def acquire(self) -> bool:
        try:
            self._lock.acquire(timeout=WRITE_SECONDS, cancel_check=until_stopped())
        except Timeout:
            raise TimeoutError(f"another process keeps {self._path} locked") from None
        try:
            _cut_torn_line(self._path)
        except BaseException:
            self._lock.release()
            raise
        return True

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _cut_torn_line(path: Path, block: int = 4096) -> None:
    with path.open("r+b") as file:
        end = whole = file.seek(0, os.SEEK_END)
        while whole > 0:
            start = max(0, whole - block)
            file.seek(start)
            newline = file.read(whole - start).rfind(b"\n")
            if newline >= 0:
                whole = start + newline + 1
                break
            whole = start
        if whole < end:
            file.truncate(whole)
