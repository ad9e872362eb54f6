"""The combined models against the numbers of their members."""

from pathlib import Path

import keras
import numpy as np
import pytest

from flowersweep.ensemble.combination import Soup, mean_of_probabilities
from flowersweep.errors import ConfigError
from winners import SIZE, small_model

PICTURES = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.float32)


def answers(model: keras.Model, pictures: np.ndarray = PICTURES) -> np.ndarray:
    """The probabilities of a model."""
    return np.asarray(model(pictures, training=False))


def test_weighted_mean_of_probabilities() -> None:
    """A member that was selected twice counts twice."""
    one, other = small_model(4, 1), small_model(4, 2)
    expected = (2 * answers(one) + answers(other)) / 3
    assert answers(mean_of_probabilities([(one, 2), (other, 1)])) == pytest.approx(expected, abs=1e-6)


def test_mean_over_the_mirror_image() -> None:
    """Columns are reversed, not rows; the result is the same for a picture and its mirror image."""
    one = small_model(4, 1)
    combined = mean_of_probabilities([(one, 1)], flip=True)
    expected = (answers(one) + answers(one, PICTURES[:, :, ::-1])) / 2

    assert answers(combined) == pytest.approx(expected, abs=1e-6)
    assert answers(combined, PICTURES[:, :, ::-1]) == pytest.approx(expected, abs=1e-6)


def test_the_ensemble_is_an_ordinary_keras_file(tmp_path: Path) -> None:
    """It is read in Keras' safe mode and returns the same numbers."""
    combined = mean_of_probabilities([(small_model(4, 1), 1), (small_model(4, 1), 1)], flip=True)
    combined.save(tmp_path / "e.keras")
    again = keras.models.load_model(tmp_path / "e.keras", compile=False, safe_mode=True)

    assert answers(again).tolist() == answers(combined).tolist()


def test_mean_of_weights() -> None:
    """Each array is the mean of the members' arrays; a mix of one is that member."""
    members = [small_model(4, seed) for seed in (1, 2, 3)]
    soup = Soup(members)
    soup.mix([0, 2])
    for mean, one, other in zip(
        soup.model.get_weights(), members[0].get_weights(), members[2].get_weights(), strict=True
    ):
        assert mean == pytest.approx((one + other) / 2)
    soup.mix([1])
    assert answers(soup.model).tolist() == answers(members[1]).tolist()


def test_weights_of_different_architectures() -> None:
    """There is no mean of arrays of different shapes."""
    with pytest.raises(ConfigError, match="combine=weights needs models of one architecture"):
        Soup([small_model(4, 1), small_model(5, 1)])
