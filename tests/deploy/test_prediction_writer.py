"""Answers for people and for programs."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.deploy.prediction_writer import open_writer, top_classes
from flowersweep.texts import in_one_line

NAMES = ("daisy", "roses", "tulips")
PATHS = ["a.jpg", "b, c.jpg"]


def written(kind: str, top: int, rows: list[list[float]]) -> str:
    """The text for a picture per row."""
    stream = io.StringIO()
    with open_writer(kind, stream, PATHS, NAMES, top) as write:
        for path, row in zip(PATHS, rows, strict=False):
            write(path, top_classes(np.array(row, np.float32), NAMES, top))
    return stream.getvalue()


def test_top_classes_are_the_most_probable_first() -> None:
    """The first of two equals stays first; more than there are cannot be had."""
    row = np.array([0.25, 0.5, 0.25], np.float32)

    assert top_classes(row, NAMES, 2) == [("roses", 0.5), ("daisy", 0.25)]
    assert len(top_classes(row, NAMES, 9)) == 3


def test_table() -> None:
    """Columns are as wide as their widest entry; the other classes follow in words."""
    text = written("table", 2, [[0.25, 0.75, 0], [1, 0, 0]])

    assert text.splitlines() == [
        "path      class   probability",
        "a.jpg     roses   0.7500  then daisy 0.2500",
        "b, c.jpg  daisy   1  then roses 0",
    ]


class Terminal(io.StringIO):
    """Text for a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_table_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that does not fit is continued between words, so that no number is broken."""
    monkeypatch.setenv("COLUMNS", "36")
    stream = Terminal()
    with open_writer("table", stream, ["folder/a.jpg"], NAMES, 3) as write:
        assert not stream.getvalue()  # the first answer may be an error
        write("folder/a.jpg", top_classes(np.array([0.25, 0.625, 0.125], np.float32), NAMES, 3))

    assert stream.getvalue().splitlines() == [
        "path          class   probability",
        "folder/a.jpg",
        "  roses 0.6250",
        "  then daisy 0.2500, tulips 0.1250",
    ]


def test_json() -> None:
    """One list that a program can load."""
    first, second = json.loads(written("json", 2, [[0.25, 0.75, 0], [1, 0, 0]]))

    assert (first["path"], first["class"], first["probability"]) == ("a.jpg", "roses", 0.75)
    assert first["top"] == [{"class": "roses", "probability": 0.75}, {"class": "daisy", "probability": 0.25}]
    assert second["class"] == "daisy"


def test_csv() -> None:
    """Two columns per class, of as many as there are classes; a comma in a name does no harm."""
    header, _, second = csv.reader(io.StringIO(written("csv", 9, [[0.25, 0.75, 0], [1, 0, 0]])))

    assert header == [
        "path",
        "class",
        "probability",
        "class_2",
        "probability_2",
        "class_3",
        "probability_3",
    ]
    assert second[:3] == ["b, c.jpg", "daisy", "1.0"]


@pytest.mark.parametrize(
    ("kind", "expected"), [("json", "[]\n"), ("csv", "path,class,probability,class_2,probability_2\n")]
)
def test_no_picture_at_all_is_a_whole_answer(kind: str, expected: str) -> None:
    """Where every picture was unreadable, a program still finds what it expects."""
    assert written(kind, 2, []) == expected


@pytest.mark.parametrize("kind", ["csv", "json"])
@given(path=st.text(min_size=1), name=st.text(min_size=1).filter(lambda name: name.splitlines() == [name]))
def test_names_come_back_as_they_were(kind: str, path: str, name: str) -> None:
    """A program reads what was meant, whatever looks like a quote; in CSV what would break a line is escaped."""
    stream = io.StringIO(newline="")
    with open_writer(kind, stream, [path], [name, "b"], 1) as write:
        write(path, [(name, 1.0)])
    text = io.StringIO(stream.getvalue(), newline="")
    read = json.load(text)[0] if kind == "json" else next(csv.DictReader(text))
    assert (read["path"], read["class"]) == (path if kind == "json" else in_one_line(path), name)


@given(path=st.text(min_size=1), name=st.text(min_size=1))
def test_a_row_of_the_table_is_one_line(path: str, name: str) -> None:
    """Whatever the file and the class are called."""
    stream = io.StringIO()
    with open_writer("table", stream, [path], [name, "b"], 2) as write:
        write(path, [(name, 0.75), ("b", 0.25)])
    assert len(stream.getvalue().splitlines()) == 2


def test_json_has_no_nan() -> None:
    """What a server returns need not be a number."""
    (row,) = json.loads(written("json", 2, [[float("nan"), 0.5, float("inf")]]), parse_constant=pytest.fail)
    assert row["probability"] is None
    assert [one["probability"] for one in row["top"]] == [None, 0.5]


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "玫瑰"), ("ascii", r"\u73ab\u7470")])
def test_json_is_valid_in_every_encoding(encoding: str, shown: str) -> None:
    """Other encodings than UTF-8 get the escapes of JSON."""
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding)
    with open_writer("json", stream, ["a.jpg"], ["玫瑰"], 1) as write:
        write("a.jpg", [("玫瑰", 1.0)])
    stream.flush()
    assert shown in content.getvalue().decode(encoding)
    assert json.loads(content.getvalue())[0]["class"] == "玫瑰"


def test_columns_of_wide_characters() -> None:
    """They are as wide as on a terminal, where a Chinese character takes two places."""
    stream = io.StringIO()
    with open_writer("table", stream, ["花.jpg", "rose.jpg"], ["玫瑰", "daisy"], 1) as write:
        write("花.jpg", [("玫瑰", 1.0)])
        write("rose.jpg", [("daisy", 0.5)])
    assert stream.getvalue().splitlines() == [
        "path      class  probability",
        "花.jpg    玫瑰   1",
        "rose.jpg  daisy  0.5000",
    ]
