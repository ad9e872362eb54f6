"""Tests of the figure of a study's ranking."""

import numpy as np
from matplotlib.container import ErrorbarContainer

from flowersweep.figures.ranking import MAX_ROWS, ranking


def test_every_trial_has_mean_and_spread() -> None:
    """The best trial is on top, with its mean, one standard deviation to both sides, and every seed."""
    (axis,) = ranking({"good": [0.5, 0.7], "bad": [0.2, 0.4]}, "best/val_accuracy").axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["good", "bad"]
    assert axis.yaxis_inverted()
    drawn = axis.containers[0]
    assert isinstance(drawn, ErrorbarContainer)
    start, end = sorted(float(np.asarray(cap.get_xdata())[0]) for cap in drawn.lines[1])
    assert (round(start, 4), round(end, 4)) == (0.4586, 0.7414)
    assert "standard deviation" in axis.get_xlabel()


def test_without_repeats_there_is_no_spread() -> None:
    """One mark for each of the first trials."""
    (axis,) = ranking({str(number): [number / 50] for number in range(50)}, "m").axes
    assert len(axis.get_yticklabels()) == MAX_ROWS
    assert axis.get_xlabel() == "m"
