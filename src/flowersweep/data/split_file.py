"""The CSV file that names the part or the group of each picture."""

import csv
import hashlib
import io
import os
from collections.abc import Container, Iterator, Sequence
from pathlib import Path, PurePath

from flowersweep.data.catalogue import Catalogue
from flowersweep.errors import DataError
from flowersweep.texts import expanded, in_one_line, nearest, paired

FILE = "file"


def split_table(path: str) -> str:
    """The text of a CSV file.

    Raises:
        DataError: It cannot be read, or is not UTF-8.
    """
    try:
        return expanded(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DataError(
            f"data.split_file={path} cannot be read ({reason}); give a CSV file in UTF-8 with the columns file,part or file,group."
        ) from error


def table_digest(text: str) -> str:
    """A digest of the content of a CSV file."""
    return hashlib.sha256(text.encode()).hexdigest()


def values_of(
    text: str, column: str, catalogue: Catalogue, allowed: Sequence[str] = (), *, name: str
) -> list[str]:
    """The value of each picture of a catalogue, in its order.

    Files are given relative to the picture folder, with forward slashes, as in `daisy/1.jpg`, or with their complete paths.
    Values are texts: the groups 1 and 01 differ.

    Args:
        text: The CSV text, whose first line names the columns.
        column: The column of the values.
        catalogue: The pictures, each of which must be in the file.
        allowed: The legal values; empty if any text but the empty one is legal.
        name: The path of the file, for messages.

    Raises:
        DataError: A column, a picture or a value is missing, a file is unknown or listed twice, or a value is not legal.
    """
    listed = _listed(text, column, catalogue, allowed, name)
    pairs = paired(listed, catalogue.paths)
    for file, (place, _) in listed.items():
        if file not in pairs and not (_below(catalogue.root, file) and (catalogue.root / file).is_file()):
            raise DataError(
                f"{place} names {in_one_line(file)}, but there is no such file in {catalogue.root}; give paths relative to "
                f"this folder, as in {in_one_line(catalogue.paths[0])}."
            )
    values = {path: listed[file][1] for file, path in pairs.items()}
    missing = [path for path in catalogue.paths if path not in values]
    if missing:
        pictures = "1 picture is" if len(missing) == 1 else f"{len(missing)} pictures are"
        raise DataError(
            f"{pictures} not in {name}, for example {in_one_line(missing[0])}; give each picture a line."
        )
    return [values[path] for path in catalogue.paths]


def _listed(
    text: str, column: str, catalogue: Catalogue, allowed: Sequence[str], name: str
) -> dict[str, tuple[str, str]]:
    """The place and the value of each file, as the table names it."""
    rows = _rows(text, name)
    header = [cell.strip() for cell in next(rows, (0, 0, []))[2]]
    if FILE not in header or column not in header:
        raise DataError(
            f"{name} must start with a line that names the columns {FILE},{column}, but starts with "
            f"{in_one_line(','.join(header))!r}; add that line."
        )
    at_file, at_value = header.index(FILE), header.index(column)
    known = set(catalogue.paths)
    listed: dict[str, tuple[str, str]] = {}
    for first, last, row in rows:
        if not any(row):
            continue
        place = f"{name}, line {first}"
        # A name may contain a line break, a value does not: a quotation mark that is not closed takes all that follows.
        if last > first and (len(row) != len(header) or len(row[at_value].strip().splitlines()) > 1):
            raise DataError(
                f"{place} has a quotation mark that makes it one row up to line {last}; close it."
            )
        if len(row) != len(header):
            raise DataError(f"{place} has {len(row)} values instead of {len(header)}; correct it.")
        file, value = _below_root(row[at_file], catalogue.root, known), row[at_value].strip()
        _check(place, file, value, column=column, allowed=allowed)
        if file in listed:
            raise DataError(f"{place} names {in_one_line(file)} a second time; keep one of the lines.")
        listed[file] = place, value
    return listed


def _rows(text: str, name: str) -> Iterator[tuple[int, int, list[str]]]:
    """The rows of a CSV text with their first and last line."""
    reader = csv.reader(io.StringIO(text, newline=""))
    while True:
        first = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{name}, line {first} has a value of more than {csv.field_size_limit():,} characters; close its quotation mark."
            ) from error
        if row is None:
            return
        yield first, reader.line_num, row


def _below_root(cell: str, root: Path, known: Container[str]) -> str:
    """A file as the catalogue names it, if it is below the folder: also from `./a.jpg` or an absolute path."""
    file = cell if cell in known else cell.strip()
    below = None if file in known else _below(root, file)
    return below.as_posix() if below else file


def _below(root: Path, file: str) -> PurePath | None:
    """The path of a file relative to the folder; None if it is elsewhere."""
    path, folder = (PurePath(os.path.normpath(one)) for one in (root / file, root))
    return path.relative_to(folder) if path.is_relative_to(folder) else None


def _check(place: str, file: str, value: str, *, column: str, allowed: Sequence[str]) -> None:
    if not value:
        raise DataError(f"{place} has no {column} for {in_one_line(file)}; give it one.")
    if allowed and value not in allowed:
        raise DataError(
            f"{place}: the {column} must be one of {', '.join(allowed)}, but is {in_one_line(value)!r}."
            f"{nearest(value, allowed)}"
        )
