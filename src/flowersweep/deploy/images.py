"""Pictures of any folder, decoded as for training, in batches."""

import io
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from flowersweep.data import decode
from flowersweep.data.catalogue import ending, folders_below, is_picture, log_left_out, no_pictures
from flowersweep.data.decode import Pixels, UnreadableError
from flowersweep.errors import DataError
from flowersweep.hardware import available_processors
from flowersweep.texts import expanded

STDIN = "-"


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive pictures.

    Attributes:
        positions: The positions in the list of paths of the pictures that could be read.
        images: uint8, shape (len(positions), size, size, 3), 0..255.
        unreadable: One message for each picture that could not be read.
    """

    positions: list[int]
    images: Pixels
    unreadable: list[str]

    def __len__(self) -> int:
        """Number of pictures, including unreadable ones."""
        return len(self.positions) + len(self.unreadable)


def find_pictures(given: Sequence[str], stdin: TextIO | None) -> list[Path]:
    """The pictures given by `images=`.

    Args:
        given: Files, folders (including their sub-folders), or `-` for one path per line on standard input.
        stdin: Standard input; None if it is closed.

    Returns:
        Paths in the given order; those of a folder are sorted, those of standard input are in the order of the lines.

    Raises:
        DataError: There is no such file or folder, it contains no pictures, or `-` is given twice.
    """
    if given.count(STDIN) > 1:
        raise DataError(
            "images=- is given twice, but standard input can be read only once; leave one of the two out."
        )
    return [path for one in given for path in (_listed(stdin) if one == STDIN else _found(one))]


def batches(paths: Sequence[Path], size: int, batch_size: int, resizing: str = "stretch") -> Iterator[Batch]:
    """Decode pictures in batches; the next batch is decoded while one is used.

    Args:
        paths: The paths of the pictures.
        size: Side length in pixels.
        batch_size: Maximum number of pictures in a batch.
        resizing: As data.resize of the model's run.
    """

    def attempt(path: Path) -> Pixels | str:
        try:
            return decode(path, size, resizing)
        except UnreadableError as error:
            return str(error)

    numbered = iter(enumerate(paths))
    pending: list[tuple[int, Future[Pixels | str]]] = []
    with ThreadPoolExecutor(available_processors()) as pool:
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
        # File names are bytes, which need not be UTF-8, and may contain other characters at which Python splits lines.
        encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
        stdin.reconfigure(encoding=encoding, errors=errors, newline="\n")
    listed = stdin.read() if stdin else ""
    if "\0" in listed:
        raise DataError(
            "images=- reads one path per line, but standard input is not text; pass the names of pictures, not a picture, and use "
            "find with -print, not -print0."
        )
    lines = (line.removesuffix("\r") for line in listed.split("\n"))
    paths = [expanded(line) for line in lines if line.strip()]
    if not paths:
        raise DataError("images=- reads one path per line from standard input, but it was empty.")
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
        raise DataError(f"The folder {given} {no_pictures(others)}, or give the files themselves.")
    log_left_out(place, others)
    return pictures


def _below(folder: Path) -> Iterator[Path]:
    """All files that are not hidden."""
    for here, folders, names in folders_below(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(here, name) for name in names if not name.startswith("."))
