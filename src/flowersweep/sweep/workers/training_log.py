"""The log of training processes: everything they print, but of each trial only the beginning and the end."""

import fcntl
import os
import select
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

BEGINNING_BYTES = 128 * 1024
END_BYTES = 128 * 1024
# A log that has grown to this size is renamed when the next trial begins; one older log is kept.
FILE_BYTES = 32 * 1024 * 1024

_CHUNK = 64 * 1024
# Taken at a time: more than a pipe holds, and an end for a process that writes without one.
_CHUNKS = 64


class TrainingLog:
    """Appends what a training process writes to a pipe to a file that the processes of all workers share.

    The beginning of a trial's output is written at once, so that one can watch it; the end when the trial has ended.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._lock = threading.Lock()
        self._n_written = self._n_omitted = self._n_kept = 0
        self._kept: deque[bytes] = deque()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="training-log")
        self._thread.start()

    def cut(self) -> None:
        """Write the end of a trial that has ended; what comes next belongs to another one."""
        with self._lock:
            self._read()
            if self._n_omitted:
                self._append(f"\n[... {self._n_omitted:,} bytes omitted ...]\n".encode())
            self._append(b"".join(self._kept))
            self._kept.clear()
            self._n_written = self._n_omitted = self._n_kept = 0
            _rotate(self._path)

    def close(self) -> None:
        """Write what is left; the process has ended, and a child of it that still writes is not listened to."""
        self.cut()
        with self._lock:
            os.close(self._reader)
            self._reader = -1

    def _follow(self) -> None:
        while (reader := self._reader) >= 0:
            try:
                select.select([reader], [], [], 1.0)
            except (OSError, ValueError):  # closed meanwhile
                return
            with self._lock:
                if not self._read():
                    return

    def _read(self) -> bool:
        """Take what is in the pipe; False at its end."""
        for _ in range(_CHUNKS if self._reader >= 0 else 0):
            try:
                chunk = os.read(self._reader, _CHUNK)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._take(chunk)
        return self._reader >= 0

    def _take(self, chunk: bytes) -> None:
        n_now = max(0, BEGINNING_BYTES - self._n_written)
        self._append(chunk[:n_now])
        self._n_written += len(chunk[:n_now])
        if rest := chunk[n_now:]:
            self._kept.append(rest)
            self._n_kept += len(rest)
        while self._n_kept - END_BYTES >= len(self._kept[0] if self._kept else b"") > 0:
            gone = len(self._kept.popleft())
            self._n_kept -= gone
            self._n_omitted += gone

    def _append(self, chunk: bytes) -> None:
        # A log that cannot be written must not end a trial: what the trial writes itself says that the disk is full.
        with suppress(OSError), self._path.open("ab") as file:
            file.write(chunk)


def _rotate(path: Path) -> None:
    """Rename a log that is too large, unless another worker has just done so."""
    with suppress(OSError), path.open("r+b") as file:  # for NFS, as in `cache.draws`
        fcntl.flock(file, fcntl.LOCK_EX)
        is_current = path.stat().st_ino == os.fstat(file.fileno()).st_ino
        if is_current and path.stat().st_size > FILE_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
