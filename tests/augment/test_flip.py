"""Mirroring: the right axis, exact pixels, independent coins."""

import numpy as np
import pytest

from flowersweep.augment.draw import uniforms
from flowersweep.augment.flip import RandomFlip, RandomFlip_prob

COLUMNS = np.arange(4 * 3 * 3 * 3, dtype=np.float32).reshape(4, 3, 3, 3)


def test_each_axis_is_mirrored_where_the_parameters_say() -> None:
    """Nothing, left-right, upside down and both, each on its own picture of one batch."""
    flipped = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    result = np.asarray(RandomFlip().apply(COLUMNS, {"flipped": flipped}, 3))
    assert np.array_equal(result[0], COLUMNS[0])
    assert np.array_equal(result[1], COLUMNS[1][:, ::-1])
    assert np.array_equal(result[2], COLUMNS[2][::-1])
    assert np.array_equal(result[3], COLUMNS[3][::-1, ::-1])


def test_bytes_stay_bytes() -> None:
    """Pictures given as uint8 come back as uint8, mirrored like the same pictures in float32."""
    pictures = np.random.default_rng(0).integers(0, 256, (20, 5, 5, 3), dtype=np.uint8)
    drawn = RandomFlip().parameters(uniforms(0, 0, 20, 2))
    result = np.asarray(RandomFlip().apply(pictures, drawn, 5))
    assert result.dtype == np.uint8
    assert np.array_equal(result, np.asarray(RandomFlip().apply(pictures.astype(np.float32), drawn, 5)))


def test_the_two_coins_are_independent() -> None:
    """All four outcomes come to a quarter of the pictures; one coin for both axes would leave out two."""
    flipped = RandomFlip().parameters(uniforms(0, 0, 20_000, 2))["flipped"]
    outcomes = np.bincount((flipped[:, 0] + 2 * flipped[:, 1]).astype(int), minlength=4)
    assert outcomes / 20_000 == pytest.approx(0.25, abs=0.015)


@pytest.mark.parametrize(("mode", "shares"), [("horizontal", (0.5, 0.0)), ("vertical", (0.0, 0.5))])
def test_a_mode_with_one_axis_leaves_the_other(mode: str, shares: tuple[float, float]) -> None:
    """Only the named axis is ever mirrored, for half of the pictures."""
    flipped = RandomFlip(mode=mode).parameters(uniforms(0, 0, 5_000, 2))["flipped"]
    assert flipped.mean(axis=0) == pytest.approx(shares, abs=0.03)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_the_probability_decides_who_gets_coins(p: float) -> None:
    """A part p of the pictures gets its coins, so 3/4 p of them change; with p = 1 it is plain RandomFlip."""
    drawn = uniforms(0, 0, 20_000, 3)
    flipped = RandomFlip_prob(p=p).parameters(drawn)["flipped"]
    assert flipped.any(axis=1).mean() == pytest.approx(0.75 * p, abs=0.015)
    if p == 1.0:
        assert np.array_equal(flipped, RandomFlip().parameters(drawn)["flipped"])
