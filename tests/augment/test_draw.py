"""The uniform numbers: addressed by (seed, epoch, picture) and by nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.augment.draw import uniforms

SEEDS = st.integers(min_value=0, max_value=2**40)
COUNTS = st.integers(min_value=0, max_value=40)


@given(seed=SEEDS, epoch=st.integers(0, 10_000), few=COUNTS, more=COUNTS, k=st.integers(0, 9))
def test_a_picture_keeps_its_row_whatever_the_number_of_pictures(
    seed: int, epoch: int, few: int, more: int, k: int
) -> None:
    """The rows of a short draw are the first rows of a longer one."""
    assert np.array_equal(uniforms(seed, epoch, few, k), uniforms(seed, epoch, few + more, k)[:few])


@given(seed=SEEDS, epoch=st.integers(0, 10_000))
def test_shape_type_and_range(seed: int, epoch: int) -> None:
    """A draw is float64 of shape (n, k) with values in [0, 1)."""
    drawn = uniforms(seed, epoch, 50, 3)
    assert drawn.shape == (50, 3)
    assert drawn.dtype == np.float64
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0


def test_the_numbers_are_even() -> None:
    """Mean, spread and tenths are those of a uniform distribution."""
    drawn = uniforms(1, 2, 50_000, 2)
    assert drawn.mean() == pytest.approx(0.5, abs=0.005)
    assert drawn.var() == pytest.approx(1 / 12, abs=0.002)
    assert np.histogram(drawn, bins=10, range=(0, 1))[0] == pytest.approx(10_000, rel=0.05)


@pytest.mark.parametrize("other", [(1, 0), (0, 1), (10, 0), (0, 10), (2**32, 0)])
def test_seeds_and_epochs_are_uncorrelated(other: tuple[int, int]) -> None:
    """Another seed or epoch gives other numbers that know nothing of the first."""
    first, second = uniforms(0, 0, 20_000, 1), uniforms(*other, 20_000, 1)
    assert abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) < 0.03


def test_pictures_and_columns_are_uncorrelated() -> None:
    """Neighbouring pictures, and two numbers of one picture, know nothing of each other."""
    drawn = uniforms(0, 0, 20_000, 2)
    assert abs(np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]) < 0.03
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.03


def test_seed_and_epoch_do_not_run_together() -> None:
    """Seed 1, epoch 11 is not seed 11, epoch 1, though both read "111"."""
    assert not np.array_equal(uniforms(1, 11, 4, 1), uniforms(11, 1, 4, 1))


def test_the_stream_never_changes() -> None:
    """The numbers are these for ever: stored features were computed with them."""
    expected = [0.5604678541733678, 0.6749277531176354, 0.46268042990438374, 0.14632368407107332]
    assert np.array_equal(uniforms(0, 0, 2, 2).ravel(), expected)
