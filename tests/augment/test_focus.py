"""Sharpening and blurring against Pillow and by hand."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from flowersweep.augment.draw import uniforms
from flowersweep.augment.focus import RandomGaussianBlur, blur, sharpen

NOISE = np.random.default_rng(0).integers(60, 200, (1, 16, 16, 3)).astype(np.float32)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.8])
def test_sharpness_is_what_pillow_does(factor: float) -> None:
    """The result is Pillow's but for its rounding, edges included."""
    expected = ImageEnhance.Sharpness(Image.fromarray(NOISE[0].astype(np.uint8))).enhance(factor)
    result = np.asarray(sharpen(NOISE, np.array([factor], np.float32)))[0]
    assert np.abs(result - np.asarray(expected, np.float32)).max() < 2


def test_blur_spreads_a_point_by_the_products_of_the_weights() -> None:
    """A point of 160 under weights 1/4, 1/2, 1/4 becomes 40 in the middle, 20 beside and 10 at the corners."""
    point = np.zeros((1, 5, 5, 3), np.float32)
    point[0, 2, 2] = 160
    result = np.asarray(blur(point, np.array([[0.25, 0.5, 0.25]], np.float32)))[0, :, :, 0]
    assert np.array_equal(result[1:4, 1:4], [[10, 20, 10], [20, 40, 20], [10, 20, 10]])
    assert result.sum() == 160


def test_blur_mirrors_at_the_edges() -> None:
    """A flat picture stays flat to its edges."""
    flat = np.full((1, 6, 6, 3), 80, np.float32)
    assert np.asarray(blur(flat, np.full((1, 5), 0.2, np.float32))) == pytest.approx(80, abs=1e-4)


@pytest.mark.parametrize("taps", [3, 15, 31])
def test_blur_reflects_as_often_as_it_needs(taps: int) -> None:
    """A filter wider than the picture is applied as to the picture repeated as in two mirrors."""
    image = NOISE[:, :6, :6]
    weights = np.random.default_rng(1).dirichlet(np.ones(taps), 1).astype(np.float32)
    tiled = np.pad(image, [(0, 0), (24, 24), (24, 24), (0, 0)], mode="symmetric")
    expected = np.asarray(blur(tiled, weights))[:, 24:30, 24:30]
    assert np.array_equal(blur(image, weights), expected)


def test_weights_are_gaussians_that_sum_to_one() -> None:
    """The neighbour of the middle weighs exp(-1 / (2 sigma^2)) of it, and sigma is spread over 0 to 1.5."""
    drawn = uniforms(0, 0, 1_000, 1)
    weights = RandomGaussianBlur().parameters(drawn)["weights"]
    wide = drawn[:, 0] > 0.2
    sigma = np.sqrt(-0.5 / np.log(weights[wide, 3] / weights[wide, 2]))
    assert weights.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert sigma == pytest.approx(1.5 * drawn[wide, 0], abs=1e-3)


def test_an_even_kernel_is_a_problem_with_its_remedy() -> None:
    """The sentence names the parameter, the value and a legal one."""
    assert RandomGaussianBlur(kernel_size=3).problems() == []
    assert RandomGaussianBlur(kernel_size=4).problems() == [
        "RandomGaussianBlur.kernel_size must be odd, but is 4; use 5."
    ]
