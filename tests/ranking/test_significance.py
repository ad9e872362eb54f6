"""The probability of a difference between equals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped] # it ships no types

from flowersweep.ranking.comparison import compare
from flowersweep.ranking.significance import paired_p, range_p


class TestPaired:
    @given(st.lists(st.integers(-50, 50), min_size=2, max_size=10))
    def test_agrees_with_scipy(self, counts: list[int]) -> None:
        """Wherever the differences spread, p is that of SciPy's paired test."""
        gaps = [count / 734 for count in counts]
        if len(set(counts)) > 1:
            assert paired_p(gaps) == pytest.approx(stats.ttest_rel(gaps, [0.0] * len(gaps)).pvalue, abs=1e-12)

    @given(st.lists(st.floats(-1, 1), max_size=8))
    def test_is_a_chance(self, gaps: list[float]) -> None:
        """It is from 0 to 1, the same for both directions, and not known for fewer than two seeds."""
        p = paired_p(gaps)
        if len(gaps) < 2:
            assert p is None
        else:
            assert p is not None
            assert 0 <= p <= 1
            assert p == paired_p([-gap for gap in gaps])

    @pytest.mark.parametrize(("n", "p"), [(2, 0.5), (3, 0.25), (6, 0.03125)])
    @pytest.mark.parametrize("gap", [1, 7, 40])
    def test_equal_differences_are_no_certainty(self, n: int, p: float, gap: int) -> None:
        """Without any spread only the number of agreeing signs counts, also if values were logged in single precision."""
        ones, others = ([count + index for index in range(n)] for count in (640, 640 - gap))
        logged = [
            dict(enumerate(float(np.float32(count / 734)) for count in some)) for some in (ones, others)
        ]
        exact = [dict(enumerate(map(float, some))) for some in (ones, others)]
        assert paired_p([gap / 734] * n) == p
        assert [one.p for one in compare(logged)] == [p]
        (found,) = compare(exact, counts=True)
        assert found.p is not None
        assert found.p >= p
        assert paired_p([0.0] * n) == 1

    @given(st.lists(st.integers(0, 40), min_size=2, max_size=6))
    def test_counts_spread_by_half_a_picture_at_least(self, gaps: list[int]) -> None:
        """As if each count were known to half a picture: a tiny spread of a few counts does not make a p smaller."""
        p, floored = paired_p(gaps), paired_p(gaps, 0.5)
        assert p is not None
        assert floored is not None
        error = max(float(np.std(gaps, ddof=1)), math.sqrt(0.5)) / math.sqrt(len(gaps))
        t = 2 * stats.t.sf(abs(np.mean(gaps)) / error, len(gaps) - 1)
        assert floored >= min(p, t) - 1e-12
        assert floored >= t - 1e-12


class TestRange:
    @settings(max_examples=20)
    @given(st.floats(0, 5), st.integers(1, 40))
    def test_two_are_students(self, t: float, freedom: int) -> None:
        """With two configurations the range is a difference, and p that of Student's test."""
        assert range_p(t, 1.0, 2, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), abs=1e-6)

    def test_published_values(self) -> None:
        """The limits of the studentized range that tables of Tukey's test have for 0.05."""
        for n_compared, freedom, limit in ((3, 10, 3.877), (5, 8, 4.886), (12, 20, 5.20)):
            p = range_p(limit / math.sqrt(2), 1.0, n_compared, freedom)
            assert p == pytest.approx(0.05, abs=5e-4)
