"""What a number of validation pictures can tell apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest  # type: ignore[import-untyped] # it ships no types

from flowersweep.ranking.resolution import least_difference, quantile, resolved, wilson


@pytest.mark.parametrize(("n_right", "n_pictures"), [(0, 36), (36, 36), (660, 734), (7, 10)])
def test_wilson_is_scipys(n_right: int, n_pictures: int) -> None:
    """The interval is SciPy's, also where all or none of the pictures are correct."""
    expected = binomtest(n_right, n_pictures).proportion_ci(0.95, method="wilson")
    assert wilson(n_right / n_pictures, n_pictures, quantile(2)) == pytest.approx(tuple(expected), abs=1e-9)


def test_least_differences() -> None:
    """Of 734 pictures 25 are a difference for two configurations, and more for twelve; three pictures tell five configurations nothing."""
    assert least_difference(0.9, 734, 2) == 25 / 734
    assert least_difference(0.9, 734, 12) == 43 / 734
    assert least_difference(1.0, 3, 5) is None


@given(st.integers(1, 400), st.data(), st.integers(2, 50))
def test_the_least_difference_is_the_least(n_pictures: int, data: st.DataObject, n_compared: int) -> None:
    """One picture less is not resolved, that many are."""
    n_right = data.draw(st.integers(0, n_pictures))
    best = n_right / n_pictures
    least = least_difference(best, n_pictures, n_compared)
    n_least = n_right + 1 if least is None else round(least * n_pictures)
    assert not resolved(best, (n_right - n_least + 1) / n_pictures, n_pictures, n_compared)
    assert least is None or resolved(best, (n_right - n_least) / n_pictures, n_pictures, n_compared)


@pytest.mark.parametrize(
    ("n_pictures", "share", "n_compared"), [(120, 0.9, 5), (734, 0.9, 12), (734, 0.5, 2)]
)
def test_equal_configurations_are_rarely_told_apart(n_pictures: int, share: float, n_compared: int) -> None:
    """Of a thousand studies of equal configurations, about one in twenty or less finds a difference."""
    counts = np.random.default_rng(0).binomial(n_pictures, share, (1000, n_compared))
    pairs = zip(counts.max(axis=1) / n_pictures, counts.min(axis=1) / n_pictures, strict=True)
    false = sum(resolved(best, worst, n_pictures, n_compared) for best, worst in pairs)
    assert 5 <= false <= 70
