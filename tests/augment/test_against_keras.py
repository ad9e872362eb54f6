"""What docstrings say of Keras' layers of the same name is what the installed Keras does."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from flowersweep.augment import layers
from flowersweep.augment.colour import RandomGrayscale

N, SIZE = 400, 12


@pytest.fixture(scope="module")
def pictures() -> npt.NDArray[np.float32]:
    """Random pictures, values 0..255."""
    return np.random.default_rng(0).uniform(0, 255, (N, SIZE, SIZE, 3)).astype(np.float32)


def drawn(layer: Any, pictures: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """What a Keras layer draws for a batch."""
    found = layer.get_random_transformation(pictures, training=True)
    return {key: np.asarray(value) for key, value in found.items() if key != "input_shape"}


def test_zoom_draws_height_and_width_apart(pictures: npt.NDArray[np.float32]) -> None:
    """With both factors, from 1 - factor to 1 + factor; without the second the width follows the height."""
    both = drawn(keras.layers.RandomZoom(0.1, 0.1, seed=0), pictures)
    height, width = both["height_zoom"].ravel(), both["width_zoom"].ravel()
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.2
    for zooms in (height, width):
        assert zooms.min() == pytest.approx(0.9, abs=0.01)
        assert zooms.max() == pytest.approx(1.1, abs=0.01)
    one = drawn(keras.layers.RandomZoom(0.1, seed=0), pictures)
    assert np.array_equal(one["height_zoom"], one["width_zoom"])


def test_flip_tosses_one_coin_for_both_axes(pictures: npt.NDArray[np.float32]) -> None:
    """Every picture is turned by 180 degrees or stays."""
    flipped = np.asarray(keras.layers.RandomFlip(seed=0)(pictures, training=True))
    turned = (flipped == pictures[:, ::-1, ::-1]).all(axis=(1, 2, 3))
    assert (turned | (flipped == pictures).all(axis=(1, 2, 3))).all()
    assert 0.4 < turned.mean() < 0.6


def test_crop_cuts_one_window_for_a_batch(pictures: npt.NDArray[np.float32]) -> None:
    """And nothing at all from pictures of the size of the window."""
    same = np.repeat(pictures[:1], 8, axis=0)
    cut = np.asarray(keras.layers.RandomCrop(6, 6, seed=0)(same, training=True))
    assert np.array_equal(cut, np.repeat(cut[:1], 8, axis=0))
    assert np.array_equal(keras.layers.RandomCrop(SIZE, SIZE)(same, training=True), same)


def test_contrast_is_only_raised(pictures: npt.NDArray[np.float32]) -> None:
    """Factors are drawn from 1 to 1 + factor."""
    factors = drawn(keras.layers.RandomContrast(0.2, seed=0), pictures)["contrast_factor"]
    assert factors.min() == pytest.approx(1.0, abs=0.01)
    assert factors.max() == pytest.approx(1.2, abs=0.01)


def test_brightness_is_ours(pictures: npt.NDArray[np.float32]) -> None:
    """One number for all values of a picture, drawn from +-255 * factor, the result clipped."""
    delta = drawn(keras.layers.RandomBrightness(0.2, seed=0), pictures)["rgb_delta"]
    assert delta.shape == (N, 1, 1, 1)
    ours = layers.build({"name": "RandomBrightness", "factor": 0.2})
    edges = ours.parameters(np.array([[0.0], [1.0]]))["delta"]
    assert [delta.min(), delta.max()] == pytest.approx(edges.tolist(), abs=1.0)
    layer = keras.layers.RandomBrightness(0.2)
    theirs = layer.transform_images(pictures, {"rgb_delta": delta})
    mine = ours.apply(tf.constant(pictures), {"delta": tf.constant(delta.ravel())}, SIZE)
    assert np.allclose(theirs, mine, atol=1e-3)


def test_grayscale_is_ours(pictures: npt.NDArray[np.float32]) -> None:
    """The luma in all channels, of a part `factor` of the pictures."""
    grey = np.asarray(keras.layers.RandomGrayscale(1.0)(pictures, training=True))
    ours = RandomGrayscale(factor=1.0)
    matrix = tf.constant(ours.parameters(np.zeros((N, 1)))["matrix"])
    assert np.allclose(grey, ours.apply(tf.constant(pictures), {"matrix": matrix}, SIZE), atol=0.05)
    layer = keras.layers.RandomGrayscale(0.3, seed=0)
    assert np.asarray(layer.get_random_transformation(pictures)).mean() == pytest.approx(0.3, abs=0.06)


def test_hue_turns_in_hsv_by_the_same_angles(pictures: npt.NDArray[np.float32]) -> None:
    """Up to factor * 180 degrees either way; the largest channel stays, the luma does not."""
    layer = keras.layers.RandomHue(0.4, seed=0)
    turns = drawn(layer, pictures)["factor"]
    assert [turns.min() * 360, turns.max() * 360] == pytest.approx([-72, 72], abs=2)
    turned = np.asarray(layer.transform_images(pictures, {"factor": np.full(N, 0.2, np.float32)}))
    assert np.allclose(turned.max(axis=-1), pictures.max(axis=-1), atol=0.01)
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs((turned - pictures) @ luma).max() > 20


@pytest.mark.parametrize("name", ["RandomSaturation", "RandomSharpness"])
def test_a_half_is_no_change(name: str, pictures: npt.NDArray[np.float32]) -> None:
    """For Keras; here no change is 0."""
    layer = getattr(keras.layers, name)((0.5, 0.5), value_range=(0, 1))
    assert np.allclose(layer(pictures[:4] / 255, training=True), pictures[:4] / 255, atol=1e-4)
    ours = layers.build({"name": name, "factor": 0.0})
    parameters = {key: tf.constant(value) for key, value in ours.parameters(np.full((4, 1), 0.3)).items()}
    assert np.allclose(ours.apply(tf.constant(pictures[:4]), parameters, SIZE), pictures[:4], atol=1e-3)


def test_blur_draws_two_widths_for_a_batch(pictures: npt.NDArray[np.float32]) -> None:
    """One for each axis, whatever the number of pictures."""
    assert drawn(keras.layers.RandomGaussianBlur(sigma=1.0, seed=0), pictures)["blur_factor"].shape == (2,)


def test_invert_draws_its_probability(pictures: npt.NDArray[np.float32]) -> None:
    """From 0 to factor, so that half as many pictures are inverted."""
    inverted = drawn(keras.layers.RandomInvert(0.6, seed=0), pictures)["apply_inversion"]
    assert inverted.mean() == pytest.approx(0.3, abs=0.06)


def test_posterization_keeps_fewer_bits_than_it_is_told(pictures: npt.NDArray[np.float32]) -> None:
    """From 1 to `factor` - 1 of the 8; here `factor` to 8."""
    shift = drawn(keras.layers.RandomPosterization(4, seed=0), pictures)["shift_factor"]
    assert {8 - int(bits) for bits in shift.ravel()} == {1, 2, 3}
    ours = layers.build({"name": "RandomPosterization", "factor": 4})
    steps = ours.parameters(np.linspace(0, 0.999, 50)[:, None])["step"]
    assert {8 - int(np.log2(step)) for step in steps} == {4, 5, 6, 7, 8}


def test_shear_is_about_the_upper_left_corner(pictures: npt.NDArray[np.float32]) -> None:
    """Along x the uppermost row stays where it is; here it is the middle that stays."""
    layer = keras.layers.RandomShear(0.3, 0.3, seed=0)
    shears = drawn(layer, pictures)["shear_factor"]
    assert abs(np.corrcoef(shears[:, 0], shears[:, 1])[0, 1]) < 0.2
    assert [shears.min(), shears.max()] == pytest.approx([-0.3, 0.3], abs=0.01)
    along_x = {"shear_factor": np.array([[0.3, 0.0]], np.float32), "input_shape": (1, SIZE, SIZE, 3)}
    theirs = np.asarray(layer.transform_images(pictures[:1], along_x))
    assert np.allclose(theirs[0, 0], pictures[0, 0], atol=0.01)
    assert not np.allclose(theirs[0, SIZE - 1], pictures[0, SIZE - 1], atol=20)
