"""Tests of the numbers by which runs are compared."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.tracking.store.summary import rounded, study_summary, summary


def test_one_seed_has_no_spread() -> None:
    """Its value is the mean, and nothing is known about others."""
    assert summary([0.6595238], maximize=True) == {"mean": 0.6595, "n": 1.0, "order": 0.6595238}


def test_several_seeds() -> None:
    """Mean and sample standard deviation, with few digits."""
    found = summary([0.65, 0.66, 0.685714], maximize=False)
    assert found == {"mean": 0.6652, "sd": 0.018, "n": 3.0, "order": pytest.approx(-0.665238)}


@given(st.floats(min_value=-1e12, max_value=1e12), st.booleans())
def test_a_study_precedes_its_best_trial(value: float, maximize: bool) -> None:  # noqa: FBT001 - drawn
    """And follows every better one; all that is shown is equal."""
    own, trial = study_summary([value], maximize=maximize), summary([value], maximize=maximize)
    assert own.pop("order") > trial.pop("order")
    assert own == trial


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1234567.4, 1234567), (0.00012345678, 0.0001235), (math.inf, math.inf), (0.99997, 0.99997), (1.0, 1)],
)
def test_rounded(value: float, expected: float) -> None:
    """Digits before the point are never lost, and an accuracy that is not 1 is not shown as 1."""
    assert rounded(value) == expected


@given(st.floats(min_value=-1e12, max_value=1e12))
def test_rounding_changes_little(value: float) -> None:
    """By at most half of the fourth significant digit."""
    assert rounded(value) == pytest.approx(value, rel=5.1e-4)
