"""Changes from value to value: hand-checked numbers, and Pillow as witness."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from flowersweep.augment.base import Array
from flowersweep.augment.draw import uniforms
from flowersweep.augment.tone import (
    RandomBrightness,
    RandomContrast,
    RandomPosterization,
    autocontrast,
    contrast,
    equalize,
    integer_mean,
    posterize,
    solarize,
)


def picture(*values: float) -> Array:
    """One picture with two rows whose three channels all hold the values."""
    return np.tile(np.array(values, np.float32)[None, None, :, None], (1, 2, 1, 3))


def gradient(low: int, high: int) -> Array:
    """Two smooth pictures of 32 pixels with values low..high and uneven histograms."""
    ramp = np.linspace(0, 1, 32) ** 2
    one = np.add.outer(ramp, ramp)[:, :, None] * [0.5, 0.4, 0.3]
    return np.stack([low + (high - low) * one, high - (high - low) * one]).round().astype(np.float32)


def row(result: object) -> list[float]:
    """The first row of the first channel."""
    return [float(value) for value in np.asarray(result)[0, 0, :, 0]]


def test_contrast_scales_about_the_mean_and_clips() -> None:
    """Values 10, 100, 250 have the mean 120: doubled they are -100, 80, 380 before clipping, halved 65, 110, 185."""
    assert row(contrast(picture(10, 100, 250), np.array([2.0], np.float32))) == [0, 80, 255]
    assert row(contrast(picture(10, 100, 250), np.array([0.5], np.float32))) == [65, 110, 185]
    assert row(contrast(picture(10, 100, 250), np.array([0.0], np.float32))) == [120, 120, 120]


def test_contrast_takes_each_channel_by_itself() -> None:
    """Without contrast each channel is its own mean, not the picture's."""
    images = np.zeros((1, 2, 2, 3), np.float32)
    images[..., 1], images[..., 2] = 60, 90
    assert np.array_equal(contrast(images, np.zeros(1, np.float32)), images)


def test_contrast_draws_symmetrically_about_one() -> None:
    """Factor 0.2 draws from 0.8 to 1.2 with mean 1, lowering as often as raising."""
    factor = RandomContrast().parameters(uniforms(0, 0, 20_000, 1))["factor"]
    assert (factor.min(), factor.max()) == pytest.approx((0.8, 1.2), abs=1e-3)
    assert factor.mean() == pytest.approx(1.0, abs=0.003)
    assert (factor < 1).mean() == pytest.approx(0.5, abs=0.02)


def test_the_mean_is_exact_for_whole_numbers_of_a_large_picture() -> None:
    """Sums beyond the 24 bits of a float32 lose nothing."""
    images = np.full((1, 512, 512, 3), 255, np.float32)
    images[0, 0, 0] = 254
    expected = np.float32(np.float32(255 * 512 * 512 - 1) / np.float32(512 * 512))
    assert np.asarray(integer_mean(images)).ravel() == pytest.approx(expected, abs=1e-5)


def test_brightness_adds_and_clips() -> None:
    """A delta of 51 lifts 0 and 100 by itself and 230 to the ceiling."""
    result = RandomBrightness().apply(picture(0, 100, 230), {"delta": np.array([51.0], np.float32)}, 2)
    assert row(result) == [51, 151, 255]


def test_posterize_keeps_the_first_bits() -> None:
    """Three bits round down to multiples of 32."""
    assert row(posterize(picture(31, 32, 100, 255), np.array([32.0], np.float32))) == [0, 32, 96, 224]


def test_posterization_draws_all_numbers_of_bits_alike() -> None:
    """Factor 3 keeps 3 to 8 bits: steps of 32 down to 1, a sixth of the pictures each."""
    step = RandomPosterization().parameters(uniforms(0, 0, 12_000, 1))["step"]
    values, counts = np.unique(step, return_counts=True)
    assert list(values) == [1, 2, 4, 8, 16, 32]
    assert counts / 12_000 == pytest.approx(1 / 6, abs=0.02)


def test_solarize_inverts_from_the_threshold_on() -> None:
    """128 and above become 255 minus themselves; threshold 256 spares all."""
    assert row(solarize(picture(0, 127, 128, 255), np.array([128.0], np.float32))) == [0, 127, 127, 0]
    assert row(solarize(picture(0, 127, 128, 255), np.array([256.0], np.float32))) == [0, 127, 128, 255]


def test_autocontrast_stretches_and_spares_a_flat_channel() -> None:
    """50..150 becomes 0..255; a channel of one value stays."""
    assert row(autocontrast(picture(50, 100, 150), np.zeros(1))) == pytest.approx([0, 127.5, 255])
    assert row(autocontrast(picture(70, 70), np.zeros(1))) == [70, 70]


@pytest.mark.parametrize(("low", "high"), [(0, 255), (40, 90), (10, 10)])
def test_equalize_is_what_pillow_does(low: int, high: int) -> None:
    """Every value is the one that Pillow's equalize gives, also for a flat picture."""
    images = gradient(low, high)
    expected = [np.asarray(ImageOps.equalize(Image.fromarray(one.astype(np.uint8)))) for one in images]
    assert np.array_equal(equalize(images, np.zeros(2)), np.stack(expected))
