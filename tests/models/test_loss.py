"""The loss of the training against Keras' and scikit-learn's."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from conftest import MakeConfig
from flowersweep.models.loss import class_weights, training_loss

NAMES = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 3, 4, 4], np.int32)
LOGITS = np.random.default_rng(0).normal(size=(10, 5)).astype(np.float32)


def test_balanced_weights_are_scikit_learns() -> None:
    """Also where a class has no pictures; the mean weight of a picture is 1."""
    for labels in (LABELS, LABELS[LABELS != 3]):
        weights = class_weights("balanced", labels, NAMES)
        assert weights is not None
        present = np.unique(labels)
        expected = compute_class_weight("balanced", classes=present, y=labels)
        np.testing.assert_allclose(weights[present], expected, rtol=1e-6)
        assert weights[labels].mean() == pytest.approx(1)


def test_a_class_may_be_written_in_another_form_of_unicode() -> None:
    """A weight for `rosé` in two characters is that of the class `rosé` in one."""
    weights = class_weights({"rose\u0301": 4}, LABELS, ("daisy", "ros\xe9"))
    assert weights is not None
    assert weights.tolist() == [1, 4]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("setting", ["balanced", {"roses": 4, "tulips": 0.5}, [["roses", 4]]])
def test_each_picture_counts_as_with_keras(make_config: MakeConfig, setting: Any, smoothing: float) -> None:
    """The smoothed cross-entropy of Keras with a weight for each picture; classes without one have 1."""
    trainer = make_config(f"trainer.label_smoothing={smoothing}").trainer
    trainer.class_weight = setting
    weights = class_weights(setting, LABELS, NAMES)
    assert weights is not None
    if isinstance(setting, dict):
        assert weights.tolist() == [1, 1, 4, 1, 0.5]
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)(
        np.eye(5)[LABELS], LOGITS, sample_weight=weights[LABELS]
    )
    found = training_loss(trainer, LABELS, NAMES, soft=False)(LABELS, LOGITS)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
