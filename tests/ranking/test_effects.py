"""Effects of configurations and seeds."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.ranking.effects import fit

VALUES = st.floats(0, 1)
SAMPLES = st.lists(st.dictionaries(st.integers(0, 4), VALUES, min_size=1), min_size=1, max_size=6)


class TestFit:
    @given(st.integers(2, 5), st.integers(2, 4), st.randoms(use_true_random=False))
    def test_a_complete_table(self, k: int, n: int, chance: Random) -> None:
        """With the same seeds for all, levels are means and the variance is that of a randomized block design."""
        table = np.array([[chance.uniform(0, 1) for _ in range(n)] for _ in range(k)])
        found = fit([dict(enumerate(row)) for row in table.tolist()])
        left_over = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
        assert found.levels == pytest.approx(table.mean(1))
        assert found.freedom == (k - 1) * (n - 1)
        assert found.variance == pytest.approx(np.square(left_over).sum() / found.freedom)
        assert found.factor(0, 1) == pytest.approx(2 / n)

    def test_a_seed_that_only_one_has(self) -> None:
        """It counts for nothing: the difference of two levels is that of the seeds they share."""
        found = fit([{0: 0.90, 1: 0.905, 2: 0.91, 3: 0.96}, {0: 0.91, 1: 0.9151, 2: 0.9199}])
        assert found.levels[0] - found.levels[1] == pytest.approx(-0.01)
        assert found.freedom == 2
        assert found.factor(0, 1) == pytest.approx(2 / 3)

    @given(SAMPLES)
    def test_rules(self, samples: list[dict[int, float]]) -> None:
        """Adding a number to a seed's values changes no difference of levels that is known, and no variance."""
        moved = [{seed: value + 10.0 * seed for seed, value in sample.items()} for sample in samples]
        found, after = fit(samples), fit(moved)
        assert found.freedom == after.freedom
        assert after.variance == pytest.approx(found.variance, abs=1e-9)
        for index, sample in enumerate(samples[1:], start=1):
            if sample.keys() == samples[0].keys():
                known = found.levels[0] - found.levels[index]
                assert after.levels[0] - after.levels[index] == pytest.approx(known, abs=1e-9)
