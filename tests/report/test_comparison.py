"""Which configurations are told apart."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped] # it ships no types

from flowersweep.report.comparison import ALPHA, compare, differences, groups, holm, paired_p

VALUES = st.floats(0, 1)
CHANCES = st.lists(st.floats(0, 1), max_size=12)
SAMPLES = st.lists(st.dictionaries(st.integers(0, 4), VALUES, min_size=1), min_size=1, max_size=6)


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
    def test_equal_differences_are_no_certainty(self, n: int, p: float) -> None:
        """Without any spread only the number of agreeing signs counts, also if the last bits differ."""
        assert paired_p([0.1] * n) == p
        assert paired_p([0.3 - 0.2] + [0.1] * (n - 1)) == p
        assert paired_p([0.0] * n) == 1


class TestHolm:
    def test_by_hand(self) -> None:
        """The smallest times 3, the next times 2, never falling, in the given order."""
        assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])

    @given(CHANCES)
    def test_rules(self, values: list[float]) -> None:
        """An adjusted p is not below its own nor above 1 or Bonferroni's, and keeps the order."""
        adjusted = holm(values)
        for p, after in zip(values, adjusted, strict=True):
            assert p <= after <= min(1, p * len(values))
        ordered = sorted(zip(values, adjusted, strict=True))
        assert [after for _, after in ordered] == sorted(adjusted)


class TestGroups:
    def test_what_overlaps_stands_together(self) -> None:
        """Three that overlap are one group; two that are far below are told apart from them and from each other."""
        zoom, flip, none = (
            {0: 0.70, 1: 0.72, 2: 0.71},
            {0: 0.71, 1: 0.69, 2: 0.72},
            {0: 0.69, 1: 0.72, 2: 0.70},
        )
        low, lower = {0: 0.40, 1: 0.42, 2: 0.411}, {0: 0.30, 1: 0.32, 2: 0.312}
        assert groups([zoom, flip, none, low, lower]) == [1, 1, 1, 2, 3]

    def test_two_seeds_tell_little_apart(self) -> None:
        """A difference of a tenth over two seeds is not enough if it varies by two hundredths."""
        assert groups([{0: 0.8, 1: 0.8}, {0: 0.7, 1: 0.72}]) == [1, 1]

    def test_only_common_seeds_count(self) -> None:
        """Runs with other seeds are not compared; one pair that could be tested makes it a ranking."""
        one, other = {0: 0.9, 1: 0.9}, {2: 0.1, 3: 0.1}
        assert groups([one, other]) is None
        assert groups([one, other, {0: 0.9, 1: 0.8}]) == [1, 1, 1]
        assert differences({0: 0.5, 1: 0.75}, {1: 0.5, 2: 9.0}) == [0.25]

    @given(SAMPLES)
    def test_rules(self, samples: list[dict[int, float]]) -> None:
        """Everyone has a group, the first is in group 1, numbers have no gap; one seed each is never a ranking."""
        found = groups(samples)
        if all(len(sample) < 2 for sample in samples) and len(samples) > 1:
            assert found is None
        if found is not None:
            assert found[0] == 1
            assert set(found) == set(range(1, max(found) + 1))

    @given(SAMPLES)
    def test_comparisons(self, samples: list[dict[int, float]]) -> None:
        """A difference is that of the means over common seeds; nobody is told apart by a p over the limit."""
        for sample, found in zip(samples[1:], compare(samples[0], samples[1:]), strict=True):
            common = samples[0].keys() & sample.keys()
            assert found.n_seeds == len(common)
            assert (found.p is None) == (len(common) < 2)
            if common:
                gap = math.fsum(samples[0][seed] - sample[seed] for seed in common) / len(common)
                assert found.difference == pytest.approx(gap)
            if found.apart:
                assert found.adjusted is not None
                assert found.adjusted < ALPHA
