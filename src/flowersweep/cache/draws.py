"""Files of features, one for each draw: complete or absent, checked whenever they are opened, evicted to save space.

A file is in NumPy's .npy format with twelve bytes after the array: a mark and the CRC-32 of everything before it. It is
written under a temporary name and then renamed. While a process uses it, it holds a shared lock on it, which
keeps other processes from evicting it; the time of its last use is its modification time.
"""

import io
import logging
import os
import sys
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from flowersweep.cache.atomic import new_file, require_space
from flowersweep.cache.kinds import FEATURES
from flowersweep.cache.rows import Rows, open_rows
from flowersweep.errors import ConfigError

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

_MARK = b"flowfeat"
_TRAILER = len(_MARK) + 4
_CHUNK = 1 << 20
_FLOAT16_MAX = 65504.0

Features = Rows | npt.NDArray[Any]  # float16 or float32


@dataclass(frozen=True)
class DrawFile:
    """A draw, as the file system has it.

    Attributes:
        path: `features/<key>/<draw>.npy`.
        size: Bytes.
        used: Time of the last use, seconds since 1970.
    """

    path: Path
    size: int
    used: float


def draw_path(cache: Path, key: str, draw: int) -> Path:
    """The path of a draw of a bank."""
    return features_folder(cache) / key / f"{draw:05d}{FEATURES.ending}"


# A file with another name is not ours; it may be the user's.
_DRAWS = f"{'[0-9]' * 5}{FEATURES.ending}"


def features_folder(cache: Path) -> Path:
    """The folder of all feature banks."""
    return cache / FEATURES.folder


def open_draw(path: Path) -> Rows | None:
    """Open a draw and record its use.

    Every byte is compared with the checksum: that takes 2 ms per 10 MB, and reads what training is about to read.

    Returns:
        The features, shape (n, *features); None if there is no file, or if it is damaged, which is logged.
    """

    def check(file: FileIO) -> Rows | None:
        if not _lock(file, fcntl.LOCK_SH if sys.platform != "win32" else 0):
            return None  # it is being evicted
        features = _checked(path, file)
        if features is None:
            log.warning("%s is damaged and will be computed again.", path)
        else:
            with suppress(OSError):  # the cache is read-only, or another process removes the draw
                os.utime(path)
        return features

    try:
        return open_rows(path, check)
    except OSError:
        return None


def is_whole(path: Path) -> bool:
    """Whether a draw's checksum is right; does not count as a use.

    Raises:
        OSError: It cannot be read.
    """
    return open_rows(path, lambda file: _checked(path, file)) is not None


def write_draw(
    path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, chunks: Iterable[npt.NDArray[Any]]
) -> None:
    """Write a draw; the file appears when it is complete.

    Must be used inside `locked(path)`.

    Args:
        path: From `draw_path`.
        shape: (n, *features).
        dtype: float16 or float32.
        chunks: The features in their order, arrays of shape (k, *features) with n rows in total.

    Raises:
        DataError: The disk is full or cannot be written to.
    """
    header = io.BytesIO()
    description = {"shape": shape, "fortran_order": False, "descr": np.dtype(dtype).str}
    np.lib.format.write_array_header_1_0(header, description)
    with new_file(path) as part:
        require_space(path, draw_size(shape, dtype))
        with part.open("wb") as file:
            file.write(header.getvalue())
            checksum = zlib.crc32(header.getvalue())
            for chunk in chunks:
                values = np.ascontiguousarray(chunk, dtype).data.cast("B")
                file.write(values)
                checksum = zlib.crc32(values, checksum)
            file.write(_MARK + checksum.to_bytes(4, "little"))


def draw_size(shape: tuple[int, ...], dtype: npt.DTypeLike) -> int:
    """Bytes of the array of a draw; the file has about 140 more."""
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def draws(folder: Path) -> list[DrawFile]:
    """All draws below a folder, in the order in which they may be evicted.

    The least recently used bank comes first, and within a bank the latest epoch: every training starts with epoch 0
    and few reach the last ones, so the first epochs of a bank that is too large for the limit stay.
    """
    found = []
    for path in folder.rglob(_DRAWS):
        try:
            status = path.stat()
        except OSError:
            continue  # another process removed it
        found.append(DrawFile(path, status.st_size, status.st_mtime))
    last_use: dict[Path, float] = {}
    for draw in found:
        last_use[draw.path.parent] = max(draw.used, last_use.get(draw.path.parent, 0.0))
    found.sort(key=lambda draw: draw.path.name, reverse=True)
    return sorted(found, key=lambda draw: (last_use[draw.path.parent], draw.path.parent))


def make_room(cache: Path, needed: int, max_bytes: int) -> list[DrawFile]:
    """Evict draws until `needed` more bytes fit within `max_bytes`; those in use stay.

    Returns:
        The evicted draws.

    Raises:
        ConfigError: `needed` alone is more than `max_bytes`.
    """
    if needed > max_bytes:
        raise ConfigError(
            f"One epoch's features take {needed / 1e6:,.1f} MB, but bank.max_gigabytes={max_bytes / 1e9:g} allows "
            f"{max_bytes / 1e6:,.1f} MB; raise it, or turn the feature bank off with bank=off."
        )
    candidates = draws(features_folder(cache))
    total = sum(draw.size for draw in candidates) + needed
    evicted = []
    for draw in candidates:
        if total <= max_bytes:
            break
        if remove_draw(draw.path):
            total -= draw.size
            evicted.append(draw)
    if evicted:
        log.info("Evicted %d draws of features (%.0f MB).", len(evicted), sum(d.size for d in evicted) / 1e6)
    if total > max_bytes:
        log.warning(
            "The features in use take %.0f MB, more than the limit of %.0f MB.", total / 1e6, max_bytes / 1e6
        )
    return evicted


def remove_draw(path: Path) -> bool:
    """Delete a draw unless a process uses it; return whether it is removed."""
    try:
        with path.open("r+b") as file:  # NFS locks a file exclusively only if it is open for writing
            if not _lock(file, fcntl.LOCK_EX if sys.platform != "win32" else 0):
                return False
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _checked(path: Path, file: FileIO) -> Rows | None:
    """The rows if the checksum is right; they hold the file's lock until they are garbage-collected."""
    checksum, chunk = 0, memoryview(bytearray(_CHUNK))
    size = left = os.fstat(file.fileno()).st_size - _TRAILER
    if size <= 0:
        return None
    while left and (got := file.readinto(chunk[:left])):
        checksum, left = zlib.crc32(chunk[:got], checksum), left - got
    if left or file.read(_TRAILER) != _MARK + checksum.to_bytes(4, "little"):
        return None
    file.seek(0)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return Rows(path, file, offset=file.tell(), shape=shape, dtype=dtype, state=_state)


def _state(file: FileIO) -> tuple[int, bytes]:
    """Size and checksum; not the time of modification, which other processes set when they open the file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TRAILER))
    return size, file.read(_TRAILER)


def _lock(file: IO[bytes], kind: int) -> bool:
    """Lock an open file without waiting; return whether it is locked, or cannot be on this file system."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            log.debug("%s is on a file system without locks.", file.name)
    return True


def stored(features: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[Any]:
    """Round features to the stored type.

    Raises:
        ConfigError: They are too large for it.
    """
    if dtype == "float16" and (largest := float(np.abs(features).max())) > _FLOAT16_MAX:
        raise ConfigError(
            f"The features reach {largest:.3g}, but the largest float16 is {_FLOAT16_MAX:.0f}; store them with "
            "bank.dtype=float32."
        )
    return features.astype(dtype)
