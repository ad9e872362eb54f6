"""Store pictures, decoded once, in a file that all runs and processes share.

The file is named after the data's fingerprint, the picture size and how pictures become squares, so it can never contain the wrong pictures
and may be deleted at any time. Next to it is a small JSON file, written last, with its length and SHA-256.
"""

import hashlib
import io
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

import numpy as np

from flowersweep.cache.atomic import (
    discard,
    locked,
    new_file,
    optional,
    read_json,
    require_memory,
    require_space,
    write_json,
)
from flowersweep.cache.kinds import PIXELS, UNREADABLE
from flowersweep.cache.rows import Rows, open_rows
from flowersweep.data.catalogue import Catalogue
from flowersweep.data.decode import UNREAD, Pixels, UnreadableError, decode, load
from flowersweep.data.fingerprint import fingerprint as fingerprint_of
from flowersweep.errors import DataError, NoSpaceError
from flowersweep.hardware import available_processors
from flowersweep.progress import progress
from flowersweep.texts import counted, in_one_line

_log = logging.getLogger(__name__)

_VERSION = 2  # part of the file name; increase it when the result of `decode` changes
_LISTED = 10  # number of unreadable pictures that an error lists
_BATCH = 256  # pictures decoded ahead of the writer, which limits the memory

Read = Callable[[Path], Pixels]


@dataclass(frozen=True, eq=False)
class PixelStore:
    """All pictures of a catalogue at one size.

    Attributes:
        images: uint8, shape (n, size, size, 3), 0..255, RGB, in the catalogue's order.
        path: The file of `images`, in NumPy's .npy format; it does not exist if the disk is full.
        fingerprint: The fingerprint of the catalogue.
        size: Side length of the pictures in pixels.
    """

    images: Rows | Pixels
    path: Path
    fingerprint: str
    size: int


def open_pixel_store(
    catalogue: Catalogue,
    *,
    fingerprint: str,
    size: int,
    cache: Path,
    resizing: str = "stretch",
    threads: int | None = None,
) -> PixelStore:
    """Open the decoded pictures, decoding them first if no process has done so yet.

    A store whose length or header is wrong is recreated; `flowersweep cache verify` compares
    all of its bytes.

    Args:
        catalogue: The pictures.
        fingerprint: The result of `fingerprint(catalogue, cache)`.
        size: Side length in pixels, at least 1.
        cache: The folder of the stores.
        resizing: As data.resize.
        threads: Number of decoding threads; by default the number of processors.

    Raises:
        DataError: Pictures are unreadable (the message lists them), or the cache cannot be written to.
    """
    if size < 1:
        raise DataError(f"Pictures must be at least 1 pixel wide, but the size is {size}.")
    how = "" if resizing == "stretch" else f"-{resizing}"
    path = PIXELS.path(cache, f"{fingerprint}-{size}{how}-v{_VERSION}")

    def read(picture: Path) -> Pixels:
        return decode(picture, size, resizing)

    images: Rows | Pixels | None
    if (images := _open(path, len(catalogue), size)) is None:
        work = Decoding(catalogue, read, fingerprint, size, cache, threads)
        with locked(path):
            if (images := _open(path, len(catalogue), size)) is None:
                if path.exists():
                    _log.warning("%s is damaged and will be recreated.", path)
                try:
                    _build(path, work)
                    images = _open(path, len(catalogue), size)
                except NoSpaceError as error:
                    images = _in_memory(work, error)
    if images is None:
        raise DataError(f"{path} was just written but cannot be read; check the disk.")
    return PixelStore(images, path, fingerprint, size)


def readable(catalogue: Catalogue, *, fingerprint: str, cache: Path, threads: int | None = None) -> Catalogue:
    """The catalogue without unreadable pictures, each of which is logged by name.

    The first call decodes every picture; the result is stored under the fingerprint, also if
    `open_pixel_store` failed on them. Later calls try only those again that the system could not read. The smaller
    catalogue has another fingerprint.

    Raises:
        DataError: A class has no readable picture left, or the cache cannot be written to.
    """
    record = _record(cache, fingerprint)
    known: dict[str, str] | None = read_json(record)
    broken = {path: reason for path, reason in (known or {}).items() if not reason.startswith(UNREAD)}
    paths = catalogue.paths if known is None else [path for path in known if path not in broken]
    if paths:
        results = _each(catalogue.root, paths, load, "Checking pictures", threads)
        broken |= {
            path: result for path, result in zip(paths, results, strict=True) if isinstance(result, str)
        }
    if broken != known:
        _refuse_changed(catalogue, fingerprint, cache)
        with optional("The pictures are checked again next time."):
            write_json(record, broken)
    if not broken:
        return catalogue
    for path, reason in broken.items():
        _log.warning("Left out: %s %s.", in_one_line(path), reason)
    kept = [i for i, path in enumerate(catalogue.paths) if path not in broken]
    labels = catalogue.labels[kept]
    for label, name in enumerate(catalogue.class_names):
        if label not in labels:
            raise DataError(
                f"None of the pictures of class {name} in {catalogue.root} can be read; replace them."
            )
    return replace(catalogue, paths=tuple(catalogue.paths[i] for i in kept), labels=labels)


@dataclass(frozen=True)
class Decoding:
    """The pictures to decode, and how."""

    catalogue: Catalogue
    read: Read
    fingerprint: str
    size: int
    cache: Path
    threads: int | None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the result."""
        return len(self.catalogue), self.size, self.size, 3

    def into(self, store: Callable[[Pixels], object]) -> None:
        """Decode the pictures one after the other.

        Raises:
            DataError: Pictures are unreadable, or have been changed since their fingerprint was taken.
        """
        broken: dict[str, str] = {}
        results = _each(
            self.catalogue.root, self.catalogue.paths, self.read, "Decoding pictures", self.threads
        )
        for name, result in zip(self.catalogue.paths, results, strict=True):
            if isinstance(result, str):
                broken[name] = result
            elif not broken:  # after the first unreadable one, the others are only checked
                store(result)
        _refuse_changed(self.catalogue, self.fingerprint, self.cache)
        with optional("The pictures are checked again next time."):
            write_json(_record(self.cache, self.fingerprint), broken)
        if broken:
            raise DataError(_unreadable(self.catalogue.root, broken))


def _build(path: Path, work: Decoding) -> None:
    n_pictures, size = len(work.catalogue), work.size
    _log.info(
        "Decoding %s to %d x %d pixels into %s (%s MB).",
        counted(n_pictures, "picture"),
        size,
        size,
        path,
        f"{math.prod(work.shape) / 1e6:,.0f}",
    )
    with new_file(path) as part:
        header = _header(len(work.catalogue), work.size)
        require_space(path, len(header) + math.prod(work.shape))
        # The old JSON file is deleted first: without it, a new file under the old name does not count as complete.
        _sidecar(path).unlink(missing_ok=True)
        digest = hashlib.sha256(header)
        with part.open("wb") as file:
            file.write(header)

            def store(pixels: Pixels) -> None:
                file.write(pixels.data)
                digest.update(pixels.data)

            work.into(store)
            file.flush()
            os.fsync(
                file.fileno()
            )  # otherwise a power cut could preserve the JSON file and lose the pictures
        length = part.stat().st_size
    try:
        write_json(_sidecar(path), {"bytes": length, "sha256": digest.hexdigest()})
    except NoSpaceError:
        discard(path)
        raise


def _in_memory(work: Decoding, error: NoSpaceError) -> Pixels:
    """Decode the pictures without the cache."""
    require_memory(math.prod(work.shape), error)
    _log.warning("%s The pictures are decoded into memory, and again by every run.", error)
    images = np.empty(work.shape, np.uint8)
    rows = iter(images)

    def store(pixels: Pixels) -> None:
        next(rows)[:] = pixels

    work.into(store)
    images.setflags(write=False)
    return images


def _refuse_changed(catalogue: Catalogue, fingerprint: str, cache: Path) -> None:
    """Check that the pictures that were read are those of the fingerprint under which the result is stored.

    Raises:
        DataError: They have been changed, replaced or removed meanwhile.
    """
    if fingerprint_of(catalogue, cache) != fingerprint:
        raise DataError(
            f"The pictures in {catalogue.root} were changed while they were read; repeat the command when they stay as they are."
        )


def _header(n: int, size: int) -> bytes:
    """The header of the .npy file."""
    header = io.BytesIO()
    shape = (n, size, size, 3)
    np.lib.format.write_array_header_1_0(header, {"shape": shape, "fortran_order": False, "descr": "|u1"})
    return header.getvalue()


def _open(path: Path, n: int, size: int) -> Rows | None:
    """Open the file if its length and header are right; None otherwise."""
    noted, header = read_json(_sidecar(path)), _header(n, size)

    def check(file: FileIO) -> Rows | None:
        length = _state(file)[0]
        if noted is None or not noted.get("bytes") == length == len(header) + n * size * size * 3:
            return None
        # Compared, not parsed: there is only one right header, and NumPy's parser raises almost anything on others.
        if file.read(len(header)) != header:
            return None
        return Rows(path, file, offset=len(header), shape=(n, size, size, 3), dtype=np.uint8, state=_state)

    try:
        return open_rows(path, check)
    except OSError:
        return None


def _state(file: FileIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _each(
    root: Path, paths: Sequence[str], read: Read, description: str, threads: int | None
) -> Iterator[Pixels | str]:
    """Read all pictures in order, several at a time; for an unreadable one yield the reason."""

    def attempt(path: str) -> Pixels | str:
        try:
            return read(root / path)
        except UnreadableError as error:
            return error.reason

    workers = threads or available_processors()
    with progress(description, len(paths)) as advance, ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(paths), _BATCH):
            for result in pool.map(attempt, paths[start : start + _BATCH]):
                yield result
                advance(1)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _record(cache: Path, fingerprint: str) -> Path:
    return UNREADABLE.path(cache, f"{fingerprint}-v{_VERSION}")


def _unreadable(root: Path, broken: dict[str, str]) -> str:
    named = "".join(f"\n  {in_one_line(name)} {reason}" for name, reason in list(broken.items())[:_LISTED])
    more = f"\n  and {len(broken) - _LISTED} more" if len(broken) > _LISTED else ""
    subject = "1 picture" if len(broken) == 1 else f"{len(broken)} pictures"
    return (
        f"{subject} in {root} cannot be read; delete or repair the listed pictures, or skip them with "
        f"data.unreadable=skip:{named}{more}"
    )
