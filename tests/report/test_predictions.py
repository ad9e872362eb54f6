"""Tests of flowersweep.report.predictions."""

import csv
import io
from pathlib import Path

from flowersweep.report.predictions import predictions_table


def test_one_row_per_picture_with_classes_by_name() -> None:
    """A row holds the path, both classes by name, and every probability; commas in paths survive."""
    table = predictions_table(
        [Path("a/one, two.jpg"), "b.jpg"], [1, 0], [[0.25, 0.75], [0.4, 0.6]], ["daisy", "roses"]
    )
    assert list(csv.reader(io.StringIO(table))) == [
        ["path", "true", "predicted", "p_daisy", "p_roses"],
        ["a/one, two.jpg", "roses", "roses", "0.250000", "0.750000"],
        ["b.jpg", "daisy", "roses", "0.400000", "0.600000"],
    ]
    assert table.endswith("\n")
    assert "\r" not in table
