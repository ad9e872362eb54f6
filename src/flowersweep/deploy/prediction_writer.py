"""Output of predictions as a table, JSON or CSV, one picture after the other."""

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len

from flowersweep.deploy.output import as_json, number
from flowersweep.tables import wrapped
from flowersweep.texts import in_one_line, number_text

FORMATS = ("table", "json", "csv")

ClassProbability = tuple[str, float]
Write = Callable[[str, Sequence[ClassProbability]], None]


def top_classes(row: npt.NDArray[np.float32], class_names: Sequence[str], top: int) -> list[ClassProbability]:
    """The most probable classes of one picture with their probabilities, the most probable first.

    Args:
        row: float32, shape (number of classes,).
        class_names: The classes in the order of their numbers.
        top: The maximum number of classes.
    """
    order = np.argsort(-row, kind="stable")[:top]
    return [(class_names[index], float(row[index])) for index in order]


@contextmanager
def open_writer(
    kind: str, stream: TextIO, paths: Sequence[str], class_names: Sequence[str], top: int
) -> Iterator[Write]:
    """Yield a function that is called with each picture's path and most probable classes; nothing is stored in memory.

    Args:
        kind: One of FORMATS.
        stream: The output stream.
        paths: The paths of all pictures, for the width of the table.
        class_names: All classes, for the width of the table.
        top: The maximum number of classes for each picture.
    """
    if kind == "table":
        answers = _table(stream, _width("path", paths), _width("class", class_names))
    elif kind == "json":
        answers = _json(stream)
    else:
        answers = _csv(stream, min(top, len(class_names)))
    with answers as write:
        yield write


@contextmanager
def _table(stream: TextIO, path_width: int, class_width: int) -> Iterator[Write]:
    """A line for each picture; on a terminal that is too narrow for it several, broken between words."""
    columns = shutil.get_terminal_size().columns if stream.isatty() else 0
    headed = False

    def write(path: str, found: Sequence[ClassProbability]) -> None:
        nonlocal headed
        if not headed:  # not before the first answer, which may be an error
            put(_padded("path", path_width), f"{_padded('class', class_width)}  probability")
            headed = True
        (name, probability), *rest = found
        then = ", ".join(f"{in_one_line(other)} {number_text(chance)}" for other, chance in rest)
        put(
            _padded(in_one_line(path), path_width),
            f"{_padded(in_one_line(name), class_width)}  {number_text(probability)}",
            f"then {then}" if then else "",
        )

    def put(*cells: str) -> None:
        line = "  ".join(cell for cell in cells if cell)
        if not columns or cell_len(line) <= columns:
            stream.write(f"{line}\n")
            return
        first, *others = cells
        stream.write(f"{first.rstrip()}\n")
        for cell in others:
            stream.writelines(f"  {part}\n" for part in wrapped(cell, columns - 2))

    yield write


def _width(heading: str, names: Sequence[str]) -> int:
    """The width of a column on a terminal, where some characters take two places and others none."""
    return max(map(cell_len, [heading, *map(in_one_line, names)]))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


@contextmanager
def _json(stream: TextIO) -> Iterator[Write]:
    separator = "[\n"

    def write(path: str, found: Sequence[ClassProbability]) -> None:
        nonlocal separator
        row = {
            "path": path,
            "class": found[0][0],
            "probability": number(found[0][1]),
            "top": [{"class": name, "probability": number(probability)} for name, probability in found],
        }
        stream.write(f"{separator}  {as_json(row, stream)}")
        separator = ",\n"

    yield write
    stream.write("[]\n" if separator == "[\n" else "\n]\n")


@contextmanager
def _csv(stream: TextIO, n_classes: int) -> Iterator[Write]:
    rows = csv.writer(stream, lineterminator="\n")
    further = (f"{name}_{place}" for place in range(2, n_classes + 1) for name in ("class", "probability"))
    rows.writerow(["path", "class", "probability", *further])

    def write(path: str, found: Sequence[ClassProbability]) -> None:
        cells = (cell for name, probability in found for cell in (name, repr(probability)))
        rows.writerow([in_one_line(path), *cells])  # a row is a line

    yield write
