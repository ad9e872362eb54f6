"""Reliability and expected calibration error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.figures.calibration import BINS, calibration


def test_error_by_hand() -> None:
    """Four predictions at 0.9, of which three are right, and one wrong one at 0.6: 4/5 * 0.15 + 1/5 * 0.6."""
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]])
    found = calibration(np.array([0, 0, 0, 1, 0]), probabilities)

    assert found.pictures.tolist() == [0] * 8 + [1] + [0] * 4 + [4, 0]
    assert found.accuracy[13] == pytest.approx(0.75)
    assert found.confidence[13] == pytest.approx(0.9)
    assert found.error == pytest.approx(0.24)


def test_a_border_belongs_to_the_bin_below() -> None:
    """Bins include their upper end, as in the paper: 3/15 is in the third, 1 in the last."""
    found = calibration(np.array([0, 0]), np.array([[0.2] * 5, [1.0, 0, 0, 0, 0]]))
    assert np.flatnonzero(found.pictures).tolist() == [2, BINS - 1]


@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 2**31))
def test_error_is_that_of_the_definition(count: int, n_classes: int, seed: int) -> None:
    """The mean over bins of the difference, weighted by their predictions; at most 1."""
    chance = np.random.default_rng(seed)
    probabilities = chance.dirichlet(np.full(n_classes, 0.3), count)
    true = chance.integers(0, n_classes, count)
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == true
    error = 0.0
    for place in range(BINS):
        inside = (confidence > place / BINS) & (confidence <= (place + 1) / BINS)
        if inside.any():
            error += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert calibration(true, probabilities).error == pytest.approx(error)
