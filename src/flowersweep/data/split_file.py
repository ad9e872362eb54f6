"""The CSV file that names the part or the group of each picture."""

import csv
import hashlib
import io
from collections.abc import Sequence

from flowersweep.data.catalogue import Catalogue
from flowersweep.errors import DataError
from flowersweep.texts import expanded, in_one_line, nearest

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

    Files are given relative to the picture folder, with forward slashes, as in `daisy/1.jpg`. Values are texts: the
    groups 1 and 01 differ.

    Args:
        text: The CSV text, whose first line names the columns.
        column: The column of the values.
        catalogue: The pictures, each of which must be in the file.
        allowed: The legal values; empty if any text but the empty one is legal.
        name: The path of the file, for messages.

    Raises:
        DataError: A column, a picture or a value is missing, a file is unknown or listed twice, or a value is not legal.
    """
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [cell.strip() for cell in next(reader, [])]
    if FILE not in header or column not in header:
        raise DataError(
            f"{name} must start with a line that names the columns {FILE},{column}, but starts with "
            f"{in_one_line(','.join(header))!r}; add that line."
        )
    at_file, at_value = header.index(FILE), header.index(column)
    known, values = set(catalogue.paths), {}
    for row in reader:
        if not any(row):
            continue
        place = f"{name}, line {reader.line_num}"
        if len(row) != len(header):
            raise DataError(f"{place} has {len(row)} values instead of {len(header)}; correct it.")
        file, value = row[at_file].strip(), row[at_value].strip()
        _check(place, file, value, column=column, allowed=allowed)
        if file in values:
            raise DataError(f"{place} names {in_one_line(file)} a second time; keep one of the lines.")
        if file not in known and not (catalogue.root / file).is_file():
            raise DataError(
                f"{place} names {in_one_line(file)}, but there is no such file in {catalogue.root}; give paths relative to "
                f"this folder, as in {in_one_line(catalogue.paths[0])}."
            )
        values[file] = value
    missing = [path for path in catalogue.paths if path not in values]
    if missing:
        pictures = "1 picture is" if len(missing) == 1 else f"{len(missing)} pictures are"
        raise DataError(
            f"{pictures} not in {name}, for example {in_one_line(missing[0])}; give each picture a line."
        )
    return [values[path] for path in catalogue.paths]


def _check(place: str, file: str, value: str, *, column: str, allowed: Sequence[str]) -> None:
    if not value:
        raise DataError(f"{place} has no {column} for {in_one_line(file)}; give it one.")
    if allowed and value not in allowed:
        raise DataError(
            f"{place}: the {column} must be one of {', '.join(allowed)}, but is {in_one_line(value)!r}."
            f"{nearest(value, allowed)}"
        )
