"""What a model says of a part, on numbers small enough to check by hand."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from flowersweep.training.dataset import PictureSet
from flowersweep.training.probabilities import Predictions, predict, traced, with_probabilities

LOGITS = np.log(np.array([[6, 3, 1], [1, 8, 1], [2, 2, 6]], np.float32))
LABELS = np.array([0, 2, 2], np.int32)


def model() -> keras.Model:
    """Gives its inputs as logits, and others while it is trained."""
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dropout(0.9)(inputs))


def test_probabilities_are_those_of_all_batches_in_their_order() -> None:
    """In inference mode; accuracy and loss are those of the true classes."""
    part = PictureSet(np.zeros((3, 1, 1, 3), np.uint8), np.arange(3), LABELS)
    said = predict(traced(model()), [(LOGITS[:2], LABELS[:2]), (LOGITS[2:], LABELS[2:])], part)

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


@given(
    n_classes=st.integers(2, 6), count=st.integers(2, 40), seed=st.integers(0, 2**31), coarse=st.booleans()
)
def test_metrics_are_those_of_scikit_learn(n_classes: int, count: int, seed: int, *, coarse: bool) -> None:
    """Macro F1, balanced accuracy, recalls, top 3 and the area under the curve, with ties and with classes without pictures."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, n_classes, count).astype(np.int32)
    probabilities = chance.dirichlet(np.ones(n_classes), count).round(1 if coarse else 7).astype(np.float32)
    said = Predictions(probabilities, labels)

    assert said.macro_f1 == pytest.approx(metrics.f1_score(labels, said.predicted, average="macro"))
    recalls = metrics.recall_score(labels, said.predicted, average=None, labels=np.unique(labels))
    np.testing.assert_allclose(said.recalls[np.unique(labels)], recalls)
    assert said.balanced_accuracy == pytest.approx(recalls.mean())
    if len(np.unique(labels)) > 1:
        areas = [metrics.roc_auc_score(labels == one, probabilities[:, one]) for one in np.unique(labels)]
        assert said.auc == pytest.approx(np.mean(areas))
    else:
        assert np.isnan(said.auc)
    if not coarse and n_classes > 3:
        every = range(n_classes)
        assert said.top3 == pytest.approx(
            metrics.top_k_accuracy_score(labels, probabilities, k=3, labels=every)
        )


def test_a_class_as_probable_as_three_others_is_not_among_the_first_three() -> None:
    """A network that finds all classes equally probable has recognized none of them; with three classes, all are among three."""
    labels = np.array([0, 1], np.int32)
    assert Predictions(np.full((2, 4), 0.25, np.float32), labels).top3 == 0
    assert Predictions(np.full((2, 3), 1 / 3, np.float32), labels).top3 == 1


def test_a_saved_model_gives_probabilities_with_the_same_weights() -> None:
    """Not copies of them, and under the same name."""
    inputs = keras.Input((3,))
    network = keras.Model(inputs, keras.layers.Dense(3)(inputs), name="flowers")
    served = with_probabilities(network)

    assert served.name == "flowers"
    assert [id(weight) for weight in served.weights] == [id(weight) for weight in network.weights]
    network.set_weights([np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    np.testing.assert_allclose(np.asarray(served(LOGITS))[1], [0.1, 0.8, 0.1], rtol=1e-6)
