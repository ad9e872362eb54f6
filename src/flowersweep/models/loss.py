"""The loss of the training. Importing this module imports Keras.

`val_loss` is the plain cross-entropy in any case, so that it can be compared between settings.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from flowersweep.config.class_weight import BALANCED, weights_by_class
from flowersweep.config.schema import TrainerConfig


def training_loss(
    trainer: TrainerConfig, labels: npt.NDArray[np.int32], class_names: Sequence[str], *, soft: bool
) -> keras.losses.Loss:
    """The loss of a configuration.

    Args:
        trainer: Provides `label_smoothing` and `class_weight`.
        labels: The classes of the training pictures, for balanced weights.
        class_names: The classes in the order of their numbers.
        soft: Whether labels are shares of the classes.
    """
    weights = class_weights(trainer.class_weight, labels, class_names)
    if weights is None and not trainer.label_smoothing and not soft:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if weights is None:
        weights = np.ones(len(class_names), np.float32)
    return WeightedCrossEntropy(weights, trainer.label_smoothing, soft=soft)


def class_weights(
    setting: Any, labels: npt.NDArray[np.int32], class_names: Sequence[str]
) -> npt.NDArray[np.float32] | None:
    """The weight of each class, float32, shape (n_classes,); None if all are equal.

    `balanced` is the number of pictures divided by the number of classes and by the pictures of the class, as in scikit-learn:
    every class has the same influence, and the mean weight of a picture is 1. Classes that a mapping does not name
    have the weight 1.

    Args:
        setting: Of `trainer.class_weight`.
        labels: The classes of the training pictures.
        class_names: The classes in the order of their numbers.
    """
    named = weights_by_class(setting, class_names)
    if not isinstance(named, str):
        return np.array([named.get(name, 1.0) for name in class_names], np.float32)
    if named != BALANCED:
        return None
    counts = np.bincount(labels, minlength=len(class_names))
    return (len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


class WeightedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits: labels are smoothed, and each picture is multiplied by the weight of its class.

    As in Keras, a batch's loss is divided by its number of pictures, not by the sum of their weights.

    Args:
        weights: float32, shape (n_classes,).
        smoothing: This fraction of a label is spread over all classes (Szegedy et al. 2015, arXiv 1512.00567).
        soft: Whether labels are shares of the classes, shape (batch, n_classes), and the weight of a picture then the
            mean of the weights of its classes; otherwise they are class numbers, shape (batch,).
    """

    def __init__(self, weights: npt.NDArray[np.float32], smoothing: float, *, soft: bool) -> None:
        super().__init__(name="weighted_cross_entropy")
        self._weights = weights
        self._smoothing = smoothing
        self._soft = soft

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each picture, shape (batch,), for labels and logits."""
        n_classes = len(self._weights)
        labels = y_true
        if not self._soft:
            labels = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), n_classes, dtype=y_pred.dtype)
        targets = labels * (1.0 - self._smoothing) + self._smoothing / n_classes
        losses = -ops.sum(targets * ops.log_softmax(y_pred), axis=-1)
        return losses * ops.sum(labels * ops.cast(self._weights, y_pred.dtype), axis=-1)
