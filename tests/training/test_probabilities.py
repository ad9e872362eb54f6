"""What a model says of a part, on numbers small enough to check by hand."""

import keras
import numpy as np
import pytest

from flowersweep.training.dataset import PictureSet
from flowersweep.training.probabilities import Predictions, predict, with_probabilities

LOGITS = np.log(np.array([[6, 3, 1], [1, 8, 1], [2, 2, 6]], np.float32))
LABELS = np.array([0, 2, 2], np.int32)


def model() -> keras.Model:
    """Gives its inputs as logits, and others while it is trained."""
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dropout(0.9)(inputs))


def test_probabilities_are_those_of_all_batches_in_their_order() -> None:
    """In inference mode; accuracy and loss are those of the true classes."""
    part = PictureSet(np.zeros((3, 1, 1, 3), np.uint8), np.arange(3), LABELS)
    said = predict(model(), [(LOGITS[:2], LABELS[:2]), (LOGITS[2:], LABELS[2:])], part)

    expected = [[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]
    np.testing.assert_allclose(said.probabilities, expected, rtol=1e-6)
    assert said.probabilities.dtype == np.float32
    assert said.predicted.tolist() == [0, 1, 2]
    assert said.accuracy == pytest.approx(2 / 3)
    assert said.loss == pytest.approx(-np.log([0.6, 0.1, 0.6]).mean(), rel=1e-6)


def test_a_certain_mistake_costs_much_and_not_infinitely() -> None:
    """A probability of 0 counts as the smallest number of single precision."""
    said = Predictions(np.array([[1, 0]], np.float32), np.array([1], np.int32))
    assert said.accuracy == 0
    assert said.loss == pytest.approx(87.3365, abs=1e-3)


def test_a_saved_model_gives_probabilities_with_the_same_weights() -> None:
    """Not copies of them, and under the same name."""
    inputs = keras.Input((3,))
    network = keras.Model(inputs, keras.layers.Dense(3)(inputs), name="flowers")
    served = with_probabilities(network)

    assert served.name == "flowers"
    assert [id(weight) for weight in served.weights] == [id(weight) for weight in network.weights]
    network.set_weights([np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    np.testing.assert_allclose(np.asarray(served(LOGITS))[1], [0.1, 0.8, 0.1], rtol=1e-6)
