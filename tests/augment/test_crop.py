"""Cropping: real windows out of larger pictures, one place for each picture."""

import numpy as np
import pytest

from flowersweep.augment.crop import RandomCrop
from flowersweep.augment.draw import uniforms

SOURCES = np.random.default_rng(0).integers(0, 256, (50, 18, 18, 3)).astype(np.float32)


def test_it_takes_pictures_an_eighth_larger() -> None:
    """The default scale makes 202 pixels for the article's 180."""
    assert RandomCrop().source_size(180) == 202
    assert RandomCrop(scale=1.5).source_size(180) == 270


@pytest.mark.parametrize(("scale", "image_size"), [(1.0001, 180), (1.0027, 180), (1.01, 32)])
def test_even_the_smallest_scale_crops(scale: float, image_size: int) -> None:
    """A scale that rounds to the image size takes pictures of one pixel more."""
    assert RandomCrop(scale=scale).source_size(image_size) == image_size + 1


def test_the_window_is_where_the_corner_says() -> None:
    """Corner 0 is the first place, 1 the last, and the result is image_size wide, pixel for pixel."""
    corner = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.99]], np.float32)
    result = np.asarray(RandomCrop().apply(SOURCES[:4], {"corner": corner}, 16))
    for picture, source, (top, left) in zip(
        result, SOURCES[:4], [(0, 0), (0, 2), (2, 0), (1, 2)], strict=True
    ):
        assert np.array_equal(picture, source[top : top + 16, left : left + 16])


def test_pictures_are_cropped_differently() -> None:
    """The nine places of a 16-pixel window in 18 pixels all occur, about equally often."""
    crop = RandomCrop()
    same = np.broadcast_to(SOURCES[:1], (900, 18, 18, 3))
    result = np.asarray(crop.apply(same, crop.parameters(uniforms(0, 0, 900, 2)), 16))
    _, counts = np.unique(result.reshape(900, -1), axis=0, return_counts=True)
    assert len(counts) == 9
    assert counts == pytest.approx(100, abs=40)
