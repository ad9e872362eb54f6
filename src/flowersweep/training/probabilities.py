"""Predictions of a trained model for a part of the data. Importing this module imports Keras."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import numpy.typing as npt

from flowersweep.data.stream import Part

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Predictions:
    """Predicted probabilities and true class of each picture of a part, in the order of the part.

    Attributes:
        probabilities: float32, shape (m, num_classes), rows sum to 1.
        labels: int32, shape (m,).
    """

    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The most probable class of each picture."""
        return np.asarray(np.argmax(self.probabilities, axis=1), dtype=np.int64)

    @property
    def accuracy(self) -> float:
        """Fraction of pictures whose most probable class is the true one."""
        return float(np.mean(self.predicted == self.labels))

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        likelihood = self.probabilities[np.arange(len(self.labels)), self.labels]
        return float(-np.mean(np.log(np.maximum(likelihood, np.finfo(np.float32).tiny))))


def with_probabilities(model: keras.Model) -> keras.Model:
    """A model that shares the weights and returns probabilities instead of logits."""
    outputs = keras.layers.Softmax(name="probabilities")(model.output)
    return keras.Model(model.input, outputs, name=model.name)


def predict(model: keras.Model, batches: "tf.data.Dataset", part: Part) -> Predictions:
    """Apply a model that returns logits to a part, without augmentation.

    Args:
        model: Takes the inputs of the batches.
        batches: One pass over the part in its order, (inputs, labels).
        part: Provides the labels.
    """
    logits = np.concatenate([np.asarray(model(inputs, training=False)) for inputs, _ in batches])
    return Predictions(np.asarray(keras.ops.softmax(logits), dtype=np.float32), part.labels)
