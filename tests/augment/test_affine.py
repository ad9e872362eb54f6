"""Rotating, zooming, moving, shearing: hand-checked pixels, directions and draws."""

import numpy as np
import numpy.typing as npt
import pytest

from flowersweep.augment.affine import (
    RandomRotation,
    RandomRotation_prob,
    RandomShear,
    RandomTranslation,
    RandomTranslation_prob,
    RandomZoom,
    rotation,
    shear,
    translation,
    warp,
    zoom,
)
from flowersweep.augment.base import Array
from flowersweep.augment.draw import uniforms

IDENTITY = np.eye(2, 3, dtype=np.float32)


def pictures(n: int, size: int) -> Array:
    """Noise: every wrong pixel shows."""
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3)).astype(np.float32)


def warped(images: Array, matrix: Array) -> npt.NDArray[np.float32]:
    """The result of `warp` as an array."""
    return np.asarray(warp(images, np.broadcast_to(matrix, (len(images), 2, 3))))


@pytest.mark.parametrize("size", [7, 8, 180])
def test_the_identity_changes_no_bit(size: int) -> None:
    """A picture left alone is exactly itself, at odd and even sizes."""
    images = pictures(2, size)
    assert np.array_equal(warped(images, IDENTITY[None]), images)


@pytest.mark.slow
@pytest.mark.parametrize("size", [7, 8, 180])
@pytest.mark.parametrize("quarters", [-1, 1, 2, 3])
def test_a_positive_angle_turns_counter_clockwise(size: int, quarters: int) -> None:
    """90 degrees is what np.rot90 does: the top right corner goes to the top left."""
    images = pictures(2, size)
    expected = np.rot90(images, quarters, axes=(1, 2))
    assert warped(images, rotation(90.0 * quarters)) == pytest.approx(expected, abs=0.02)


def test_a_whole_number_of_pixels_moves_down_and_right_with_a_mirrored_edge() -> None:
    """Moving down by 2 of 8 pixels and right by 3 repeats the edge as numpy's symmetric padding does."""
    images = pictures(2, 8)
    padded = np.pad(images, [(0, 0), (2, 0), (3, 0), (0, 0)], mode="symmetric")
    assert np.array_equal(warped(images, translation(3 / 8, 2 / 8)), padded[:, :8, :8])


def test_white_stays_within_range_at_every_angle() -> None:
    """The four weights of a pixel may sum to a little over 1 in float32; the result is still at most 255."""
    white = np.full((60, 45, 45, 3), 255, np.float32)
    result = np.asarray(warp(white, rotation(np.linspace(0, 90, 60))))
    assert result.max() == 255
    assert result.min() == pytest.approx(255, abs=1e-3)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    """Pixels are read bilinearly."""
    images = pictures(1, 8)
    result = warped(images, translation(-0.5 / 8, 0.0))
    assert result[:, :, :7] == pytest.approx((images[:, :, :7] + images[:, :, 1:]) / 2, abs=1e-3)


def test_half_the_source_is_enlarged_twice_about_the_centre() -> None:
    """Zoom 0.5 of 9 pixels keeps the centre and shows every second place of the middle exactly."""
    images = pictures(1, 9)
    result = warped(images, zoom(0.5, 0.5))
    assert np.array_equal(result[0, ::2, ::2], images[0, 2:7, 2:7])


def test_zoom_takes_height_before_width() -> None:
    """Only the height is halved: columns stay, rows are drawn apart."""
    images = pictures(1, 9)
    assert np.array_equal(warped(images, zoom(0.5, 1.0))[0, ::2], images[0, 2:7])


def test_shear_along_x_shifts_rows_by_their_distance_from_the_middle() -> None:
    """Shear 1 reads the row above the middle one pixel further left; the middle row stays."""
    images = pictures(1, 5)
    result = warped(images, shear(1.0, 0.0))
    assert np.array_equal(result[0, 2], images[0, 2])
    assert np.array_equal(result[0, 1, 1:], images[0, 1, :-1])
    assert np.array_equal(warped(images, shear(0.0, 1.0))[0, 1:, 1], images[0, :-1, 1])


def test_rotation_angles_are_spread_over_plus_and_minus_72_degrees() -> None:
    """The article's factor 0.2 is a fifth of a full turn, either way."""
    matrix = RandomRotation().parameters(uniforms(0, 0, 20_000, 1))["matrix"]
    angles = np.rad2deg(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    assert angles.min() == pytest.approx(-72, abs=0.1)
    assert angles.max() == pytest.approx(72, abs=0.1)
    assert angles.mean() == pytest.approx(0, abs=1.0)


def test_zoom_draws_height_and_width_independently() -> None:
    """Both lie in 0.9..1.1 and are uncorrelated, as in Keras 2."""
    matrix = RandomZoom().parameters(uniforms(0, 0, 20_000, 2))["matrix"]
    width, height = matrix[:, 0, 0], matrix[:, 1, 1]
    assert (width.min(), width.max()) == pytest.approx((0.9, 1.1), abs=1e-3)
    assert (height.min(), height.max()) == pytest.approx((0.9, 1.1), abs=1e-3)
    assert abs(np.corrcoef(width, height)[0, 1]) < 0.03


def test_zoom_without_a_width_factor_keeps_the_aspect() -> None:
    """The width follows the height if `width_factor` is None."""
    matrix = RandomZoom(width_factor=None).parameters(uniforms(0, 0, 100, 2))["matrix"]
    assert np.array_equal(matrix[:, 0, 0], matrix[:, 1, 1])


@pytest.mark.parametrize("kind", [RandomTranslation, RandomShear])
def test_the_two_directions_are_uncorrelated(kind: type[RandomTranslation | RandomShear]) -> None:
    """Moves and shears draw one number for each direction."""
    matrix = kind().parameters(uniforms(0, 0, 20_000, 2))["matrix"]
    along_x, along_y = (
        (matrix[:, 0, 2], matrix[:, 1, 2]) if kind is RandomTranslation else matrix[:, [0, 1], [1, 0]].T
    )
    assert abs(np.corrcoef(along_x, along_y)[0, 1]) < 0.03
    assert np.abs(along_x).max() == pytest.approx(0.1 if kind is RandomTranslation else 0.2, abs=1e-3)


def test_translation_takes_height_before_width() -> None:
    """Only the height factor moves pictures up and down."""
    matrix = RandomTranslation(height_factor=0.3, width_factor=0.0).parameters(uniforms(0, 0, 1_000, 2))[
        "matrix"
    ]
    assert np.abs(matrix[:, 1, 2]).max() == pytest.approx(0.3, abs=0.01)
    assert not matrix[:, 0, 2].any()


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", [RandomRotation_prob, RandomTranslation_prob])
def test_the_probability_decides_who_is_touched(
    kind: type[RandomRotation_prob | RandomTranslation_prob], p: float
) -> None:
    """A part p of the matrices is drawn as the plain augmentation draws them, the others are the identity."""
    drawn = uniforms(0, 0, 10_000, kind().n_uniforms)
    matrix = kind(p=p).parameters(drawn)["matrix"]
    touched = (matrix != IDENTITY).any(axis=(1, 2))
    plain = kind.__mro__[1]().parameters(drawn[:, :-1])["matrix"]
    assert touched.mean() == pytest.approx(p, abs=0.02)
    assert np.array_equal(matrix[touched], plain[touched])
