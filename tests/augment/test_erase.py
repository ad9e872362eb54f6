"""Erasing: the rectangle, its area, its share of the pictures."""

import numpy as np
import pytest

from flowersweep.augment.draw import uniforms
from flowersweep.augment.erase import RandomErasing

GREY = np.full((2, 10, 10, 3), 128, np.float32)


def test_the_rectangle_is_painted_and_nothing_else() -> None:
    """The box 0.2, 0.3, 0.5, 0.9 covers rows 2 to 4 and columns 3 to 8; an empty box covers nothing."""
    box = np.array([[0.2, 0.3, 0.5, 0.9], [0.4, 0.4, 0.4, 0.4]], np.float32)
    colour = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    expected = GREY.copy()
    expected[0, 2:5, 3:9] = [1, 2, 3]
    assert np.array_equal(RandomErasing().apply(GREY, {"box": box, "colour": colour}, 10), expected)


def test_areas_aspects_and_places_are_legal() -> None:
    """Areas fill 0.02 to 0.33, aspects 0.3 to 3.33, and every box is inside the picture."""
    box = RandomErasing(factor=1.0).parameters(uniforms(0, 0, 20_000, 8))["box"].astype(np.float64)
    height, width = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    area, aspect = height * width, height / width
    assert (area.min(), area.max()) == pytest.approx((0.02, 0.33), abs=1e-3)
    assert (aspect.min(), aspect.max()) == pytest.approx((0.3, 1 / 0.3), rel=0.01)
    assert box.min() >= 0
    assert box.max() <= 1 + 1e-6


def test_a_large_area_still_fits() -> None:
    """The aspect gives way where a rectangle would be longer than the picture."""
    erasing = RandomErasing(factor=1.0, scale_low=0.9, scale_high=1.0, ratio=0.1)
    box = erasing.parameters(uniforms(0, 0, 1_000, 8))["box"]
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    assert box.max() <= 1 + 1e-6
    assert area.min() >= 0.9 - 1e-5


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0])
def test_the_factor_is_the_share_of_touched_pictures(factor: float) -> None:
    """Untouched pictures have an empty box."""
    box = RandomErasing(factor=factor).parameters(uniforms(0, 0, 10_000, 8))["box"]
    assert (box[:, 2] > box[:, 0]).mean() == pytest.approx(factor, abs=0.02)


def test_the_fill_value_paints_all_boxes_alike() -> None:
    """A number replaces the random colours."""
    drawn = uniforms(0, 0, 100, 8)
    assert (RandomErasing(fill_value=7.0).parameters(drawn)["colour"] == 7).all()
    assert len(np.unique(RandomErasing().parameters(drawn)["colour"], axis=0)) == 100


def test_a_smallest_area_above_the_largest_is_a_problem() -> None:
    """The sentence names both values."""
    assert RandomErasing(scale_low=0.5).problems() == [
        "RandomErasing.scale_low must be at most scale_high (0.33), but is 0.5."
    ]
