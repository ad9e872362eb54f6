"""Which configurations are told apart."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped] # it ships no types

from benchmarks.false_differences import SPREADS, false_share, found_share
from flowersweep.ranking.comparison import compare, groups
from flowersweep.ranking.effects import differences, fit
from flowersweep.ranking.significance import ALPHA

VALUES = st.floats(0, 1)
SAMPLES = st.lists(st.dictionaries(st.integers(0, 4), VALUES, min_size=1), min_size=1, max_size=6)


class TestCompare:
    def test_tukey(self) -> None:
        """With spreads alike and differences that agree, the last one's p is that of Tukey's test of a block design."""
        table = np.array([[10, 13, 16, 11], [9, 12, 16, 10], [4, 8, 10, 5.0]])
        left_over = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        pair = np.var(table[0] - table[2], ddof=1) / 2
        error = math.sqrt(max(np.square(left_over).sum() / 6, pair) * 2 / 4)
        expected = max(
            stats.studentized_range.sf(math.sqrt(2) * (table[0] - table[2]).mean() / error, 3, 6),
            stats.ttest_rel(table[0], table[2]).pvalue,
        )
        found = compare([dict(enumerate(row)) for row in table.tolist()])
        assert found[1].p == pytest.approx(expected, rel=1e-6)
        assert found[1].apart

    def test_one_that_scatters_hides_nobody(self) -> None:
        """A training that failed to learn makes the spread of its own comparison large, not that of the others.

        It reached 70 once, so three seeds do not tell it from the leader; the next best is told apart all the same.
        """
        good, less, broken = {0: 90, 1: 92, 2: 91}, {0: 80, 1: 83, 2: 80}, {0: 20, 1: 70, 2: 35}
        assert groups([good, less, broken], counts=True) == [1, 2, 1]

    def test_never_worse_against_the_common_seeds(self) -> None:
        """Who is better on every common seed is not worse, whoever stands first."""
        more, fewer = {0: 0.90, 1: 0.905, 2: 0.91, 3: 0.96}, {0: 0.91, 1: 0.9151, 2: 0.9199}
        (found,) = compare([fewer, more])
        assert found.difference == pytest.approx(0.01)
        assert found.apart

    @settings(max_examples=40)
    @given(SAMPLES)
    def test_worse_is_worse(self, samples: list[dict[int, float]]) -> None:
        """In the order of their levels, whoever is told apart from the first is worse on the seeds both have."""
        levels = fit(samples).levels
        ordered = [samples[index] for index in np.argsort(-levels, kind="stable")]
        assert all(one.difference > 0 for one in compare(ordered) if one.apart and one.difference is not None)


class TestSimulated:
    def test_few_pictures_many_seeds(self) -> None:
        """Twelve configurations that are alike, 47 pictures, five seeds: where t-tests err in one study of seven."""
        assert false_share((12, 5), 47, 1.0, n_studies=60) <= ALPHA

    def test_power(self) -> None:
        """One of twelve that is worse by four standard deviations of a training is found with three seeds, mostly."""
        assert found_share((12, 3), 734, 4.0, n_studies=20) >= 0.7

    @pytest.mark.slow
    @pytest.mark.parametrize("n_pictures", [47, 734])
    @pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS.keys())
    @pytest.mark.parametrize("n_seeds", [2, 3])
    def test_false_differences(self, n_seeds: int, spread: float | None, n_pictures: int) -> None:
        """Twelve configurations that are alike: at most one study in twenty tells some apart, as the page promises.

        benchmarks/false_differences.py measures more seeds and numbers of pictures.
        """
        # Two standard errors of a share of one in twenty among so many studies are granted.
        assert false_share((12, n_seeds), n_pictures, spread, n_studies=400) <= ALPHA + 0.022


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

    @settings(max_examples=40)
    @given(SAMPLES)
    def test_comparisons(self, samples: list[dict[int, float]]) -> None:
        """A difference is that of the means over common seeds; nobody is told apart by a p over the limit."""
        for sample, found in zip(samples[1:], compare(samples), strict=True):
            common = samples[0].keys() & sample.keys()
            assert found.n_seeds == len(common)
            assert (found.p is None) == (len(common) < 2)
            if common:
                gap = math.fsum(samples[0][seed] - sample[seed] for seed in common) / len(common)
                assert found.difference == pytest.approx(gap)
            if found.apart:
                assert found.p is not None
                assert found.p < ALPHA


def test_one_that_diverged_hides_nothing() -> None:
    """The rounding of a huge value is no spread of the others, whose differences stay what they are."""
    best, worse = {0: -0.301, 1: -0.302, 2: -0.299}, {0: -0.901, 1: -0.899, 2: -0.902}
    for huge in (1e3, 1e6, 1e9):
        diverged = {0: -huge, 1: -1.01 * huge, 2: -0.99 * huge}
        assert groups([best, worse, diverged]) == [1, 2, 3]
        assert compare([best, worse, diverged])[0].apart
        assert (groups([best, worse, {0: -huge}]) or [])[:2] == [1, 2]
