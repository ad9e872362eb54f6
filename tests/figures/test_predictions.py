"""Tests of flowersweep.figures.predictions."""

import csv
import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.figures.predictions import predictions_table, read_predictions
from flowersweep.texts import in_one_line


def test_one_row_per_picture_with_classes_by_name() -> None:
    """A row holds the path, both classes by name, and every probability; commas in paths survive."""
    table = predictions_table(
        [Path("a/one, two.jpg"), "b.jpg"], [1, 0], [[0.25, 0.75], [0.4, 0.6]], ["daisy", "roses"]
    )
    assert list(csv.reader(io.StringIO(table))) == [
        ["path", "true", "predicted", "p_daisy", "p_roses"],
        ["a/one, two.jpg", "roses", "roses", "0.25", "0.75"],
        ["b.jpg", "daisy", "roses", "0.4", "0.6"],
    ]
    assert table.endswith("\n")
    assert "\r" not in table


@given(st.floats(0, 1, width=32))
def test_small_probabilities_keep_their_digits(probability: float) -> None:
    """A probability of one in a billion is not 0, so a temperature can be fitted on the table."""
    table = predictions_table(["a.jpg"], [0], [[probability, 1 - probability]], ["daisy", "roses"])
    found = read_predictions(table)
    assert found is not None
    assert found.probabilities[0, 0] == pytest.approx(probability, rel=1e-5)
    assert (found.paths, found.class_names, found.true.tolist()) == (["a.jpg"], ("daisy", "roses"), [0])


LINE = st.text(min_size=1).filter(lambda name: name.splitlines() == [name])


@given(names=st.lists(LINE, min_size=2, max_size=4), path=st.text(min_size=1))
def test_any_name_comes_back(names: list[str], path: str) -> None:
    """Quotes and commas in names of classes and files survive the table; what would break a line is escaped."""
    table = predictions_table([path], [0], [[0.0] * (len(names) - 1) + [1.0]], names)
    head, row = csv.reader(io.StringIO(table, newline=""))
    assert head[3:] == [f"p_{name}" for name in names]
    assert row[:3] == [in_one_line(path), names[0], names[-1]]
    assert len(table.splitlines()) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_no_text_are_escaped() -> None:
    """A name is bytes, and the table is UTF-8."""
    table = predictions_table([os.fsdecode(b"a/caf\xe9.jpg")], [0], [[1, 0]], ["daisy", "roses"])
    assert table.encode().splitlines()[1].startswith(rb"a/caf\xe9.jpg,daisy,daisy,")
