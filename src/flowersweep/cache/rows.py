"""The rows of an array in a file, read as they are needed, without mapping the file into memory.

A mapped file that another program shortens ends the process with SIGBUS, without a word. Reading notices that, costs the
same, and shares the same pages of the system's cache between processes.
"""

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowersweep.errors import DataError

# Arrays that are not larger are read once: rows of a few kilobytes take longer to find than to copy.
KEPT_BYTES = 1 << 24


class Rows:
    """The rows of an array in a file.

    Attributes:
        shape: (n, ...).
        dtype: Of the numbers.
        failure: The error of the latest reading that failed; TensorFlow raises another one in its place.

    Args:
        path: The file's.
        file: The open file, from `open_rows`; it stays open, and locked if it is, as long as the rows are used.
        offset: Where the array begins.
        shape: (n, ...).
        dtype: Of the numbers.
        state: Identifies the content of the open file.
    """

    def __init__(
        self,
        path: Path,
        file: FileIO,
        *,
        offset: int,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        state: Callable[[FileIO], object],
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.failure: Exception | None = None
        self._path, self._file, self._offset, self._state = path, file, offset, state
        self._began_with = state(file)
        self._reading = threading.Lock()
        self._whole: npt.NDArray[Any] | None = None
        if np.prod(shape, dtype=np.int64) * self.dtype.itemsize <= KEPT_BYTES:
            self._whole = self[:]
            self._whole.setflags(write=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """The rows of an index, which is as for an array of NumPy.

        Raises:
            DataError: The file has been changed since it was opened, or cannot be read.
        """
        if self._whole is not None:
            kept: npt.NDArray[Any] = self._whole[index]
            return kept
        rows = self._numbers(index)
        read = np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        try:
            self._read(rows.ravel(), read)
        except Exception as error:
            self.failure = error
            raise
        return read

    def _numbers(self, index: Any) -> npt.NDArray[np.int64]:
        """The numbers of the rows of an index."""
        if isinstance(index, np.ndarray) and index.dtype.kind == "i":
            # Without the numbers of all rows, of which there may be many more than are read.
            rows = np.where(index < 0, index + len(self), index).astype(np.int64, copy=False)
            if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
                raise IndexError(
                    f"there are {len(self)} rows, but {index.min()} to {index.max()} were asked for"
                )
            return rows
        return np.asarray(np.arange(len(self))[index])

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001 (NumPy's signature; it is always a copy)
        return np.asarray(self[:], dtype)

    def _read(self, rows: npt.NDArray[np.int64], read: npt.NDArray[Any]) -> None:
        if not read.size:
            return
        bytes_per_row = read.nbytes // len(rows)
        into = read.reshape(-1).view(np.uint8).data
        # Consecutive rows are read at once.
        starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
        ends = [*starts[1:].tolist(), len(rows)]
        with self._reading:
            for start, end in zip(starts.tolist(), ends, strict=True):
                self._file.seek(self._offset + int(rows[start]) * bytes_per_row)
                part = into[start * bytes_per_row : end * bytes_per_row]
                while part:  # a call reads 2 GB at most
                    if not (got := self._file.readinto(part)):
                        raise self._changed()
                    part = part[got:]
            if self._state(self._file) != self._began_with:
                raise self._changed()

    def _changed(self) -> DataError:
        return DataError(
            f"{self._path} was changed by another program while it was in use; the same command makes it again."
        )


def open_rows(path: Path, check: Callable[[FileIO], Rows | None]) -> Rows | None:
    """Open a file, which is closed with the rows that the check finds in it, or at once if it finds none.

    Raises:
        OSError: It cannot be read.
    """
    descriptor, rows = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)), None
    try:
        rows = check(FileIO(descriptor, closefd=False))
    finally:
        if rows is None:
            os.close(descriptor)
        else:
            # Not left to the file: the traceback of a failure refers to the rows, and files in such circles warn.
            weakref.finalize(rows, os.close, descriptor)
    return rows


@contextmanager
def own_errors(*read: object) -> Iterator[None]:
    """Raise the error of reading rows in the block instead of the one that TensorFlow raises in a data stream."""
    try:
        yield
    except Exception as error:
        for one in read:
            failure = getattr(one, "failure", None)
            if failure is not None and error is not failure:
                raise failure from error
        raise
