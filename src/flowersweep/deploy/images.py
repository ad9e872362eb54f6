"""Pictures of any folder, decoded as for training, a batch at a time."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from flowersweep.data import decode
from flowersweep.data.catalogue import ending, is_picture, log_left_out, no_pictures
from flowersweep.data.decode import Pixels, UnreadableError
from flowersweep.errors import DataError
from flowersweep.texts import expanded

STDIN = "-"


@dataclass(frozen=True, eq=False)
class Batch:
    """Some pictures in a row.

    Attributes:
        positions: Of those that could be read, in the list of paths.
        images: uint8, shape (len(positions), size, size, 3), 0..255.
        unreadable: One sentence for each that could not.
    """

    positions: list[int]
    images: Pixels
    unreadable: list[str]

    def __len__(self) -> int:
        """Number of pictures, unreadable ones among them."""
        return len(self.positions) + len(self.unreadable)


def find_pictures(given: Sequence[str], stdin: TextIO | None) -> list[Path]:
    """The pictures that `images=` names.

    Args:
        given: Each a file; a folder, with all its sub-folders; or `-` for one path per line on standard input.
        stdin: Where these lines come from; None if it is closed.

    Returns:
        Paths in the order of what was given; those of a folder sorted, those of standard input as its lines are.

    Raises:
        DataError: There is no such file or folder, or nothing in it.
    """
    return [path for one in given for path in (_listed(stdin) if one == STDIN else _found(one))]


def batches(paths: Sequence[Path], size: int, batch_size: int) -> Iterator[Batch]:
    """Decode pictures a batch at a time; while one is used the next is decoded.

    Args:
        paths: Of the pictures.
        size: Side length in pixels.
        batch_size: Pictures in a batch at the most.
    """

    def attempt(path: Path) -> Pixels | str:
        try:
            return decode(path, size)
        except UnreadableError as error:
            return str(error)

    numbered = iter(enumerate(paths))
    pending: list[tuple[int, Future[Pixels | str]]] = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        while True:
            some = list(islice(numbered, batch_size))
            ahead = [(position, pool.submit(attempt, path)) for position, path in some]
            if pending:
                yield _batch([(position, future.result()) for position, future in pending], size)
            if not ahead:
                return
            pending = ahead


def _batch(results: list[tuple[int, Pixels | str]], size: int) -> Batch:
    read = [(position, result) for position, result in results if not isinstance(result, str)]
    images = np.empty((len(read), size, size, 3), np.uint8)
    for row, (_, pixels) in enumerate(read):
        images[row] = pixels
    unreadable = [result for _, result in results if isinstance(result, str)]
    return Batch([position for position, _ in read], images, unreadable)


def _listed(stdin: TextIO | None) -> list[Path]:
    if isinstance(stdin, io.TextIOWrapper):
        # Names of files are bytes, which need not be UTF-8, and may hold whatever else Python breaks lines at.
        encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
        stdin.reconfigure(encoding=encoding, errors=errors, newline="\n")
    listed = stdin.read() if stdin else ""
    if "\0" in listed:
        raise DataError(
            "images=- reads one path per line, but standard input is no text; send the names of pictures, not a picture, and from "
            "find with -print, not -print0."
        )
    lines = (line.removesuffix("\r") for line in listed.split("\n"))
    paths = [expanded(line) for line in lines if line.strip()]
    if not paths:
        raise DataError("images=- reads one path per line from standard input, but there was none.")
    return paths


def _found(given: str) -> list[Path]:
    place = expanded(given)
    if not place.exists():
        raise DataError(f"images={given} does not exist; give a picture, a folder of pictures, or -.")
    if not place.is_dir():
        return [place]
    found = sorted(_below(place))
    pictures = [path for path in found if is_picture(path.name)]
    others = [ending(path.name) for path in found if not is_picture(path.name)]
    if not pictures:
        raise DataError(f"The folder {given} {no_pictures(others)}, or name the files themselves.")
    log_left_out(place, others)
    return pictures


def _below(folder: Path) -> Iterator[Path]:
    """All files that are not hidden."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(here, name) for name in names if not name.startswith("."))
