"""Colours: grey, saturation and hue by known values."""

import numpy as np
import numpy.typing as npt
import pytest

from flowersweep.augment.base import Array
from flowersweep.augment.colour import LUMA, RandomGrayscale, hue, mix, saturation
from flowersweep.augment.draw import uniforms

COLOURS = np.array([[[[200, 100, 50], [90, 120, 100], [128, 128, 128]]]], np.float32)


def mixed(matrix: Array) -> npt.NDArray[np.float32]:
    """The three colours after mixing."""
    return np.asarray(mix(COLOURS, matrix), dtype=np.float32).reshape(3, 3)


def test_no_saturation_is_the_luma_in_all_channels() -> None:
    """200, 100, 50 becomes 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2."""
    assert mixed(saturation(np.zeros(1)))[0] == pytest.approx(124.2, abs=1e-3)


def test_half_saturation_is_half_way_to_grey() -> None:
    """Each channel lies in the middle between itself and the luma."""
    assert mixed(saturation(np.full(1, 0.5)))[0] == pytest.approx([162.1, 112.1, 87.1], abs=1e-3)


def test_more_saturation_clips() -> None:
    """Three times the distance from grey leaves 0..255 and is cut off there."""
    assert mixed(saturation(np.full(1, 3.0)))[0] == pytest.approx([255, 51.6, 0], abs=1e-3)


@pytest.mark.parametrize("degrees", [-120.0, 30.0, 90.0])
def test_hue_keeps_luma_and_grey(degrees: float) -> None:
    """A turned colour is as light as before, and grey has no hue to turn."""
    result = mixed(hue(np.array([degrees])))
    assert result[1] @ LUMA == pytest.approx(COLOURS[0, 0, 1] @ LUMA, abs=0.05)
    assert result[2] == pytest.approx([128, 128, 128], abs=0.05)
    assert np.abs(result[1] - COLOURS[0, 0, 1]).max() > 5


def test_hue_turns_back() -> None:
    """A turn and its opposite cancel."""
    there, back = hue(np.array([40.0, -40.0])).astype(np.float64)
    assert back @ there == pytest.approx(np.eye(3), abs=1e-5)


def test_grayscale_takes_the_colour_from_its_share_of_the_pictures() -> None:
    """A part `factor` gets the luma in all rows, the rest the identity."""
    matrix = RandomGrayscale(factor=0.3).parameters(uniforms(0, 0, 10_000, 1))["matrix"]
    grey = (matrix == LUMA.astype(np.float32)).all(axis=(1, 2))
    assert grey.mean() == pytest.approx(0.3, abs=0.02)
    assert (matrix[~grey] == np.eye(3)).all()
