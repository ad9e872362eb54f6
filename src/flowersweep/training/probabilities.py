"""Predictions of a trained model for a part of the data. Importing this module imports Keras."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt

from flowersweep.data.stream import Part
from flowersweep.figures.confusion import confusion_counts

if TYPE_CHECKING:
    import tensorflow as tf


Forward = Callable[[Any], Any]
TOP = 3  # classes among which the true one must be, for `top3`


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

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of a part that are logged for every epoch, by name."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "balanced_accuracy": self.balanced_accuracy,
            "auc": self.auc,
            "top3": self.top3,
        }

    @property
    def recalls(self) -> npt.NDArray[np.float64]:
        """The recognized fraction of each class; NaN for a class without pictures."""
        counts = self._counts
        with np.errstate(invalid="ignore"):  # 0 of 0 is NaN here
            return np.asarray(np.diag(counts) / counts.sum(axis=1))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that have pictures or predictions, each counting equally."""
        counts = self._counts
        total = counts.sum(axis=1) + counts.sum(axis=0)
        return float(np.mean(2 * np.diag(counts)[total > 0] / total[total > 0]))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have pictures, each counting equally."""
        return float(np.nanmean(self.recalls))

    @property
    def auc(self) -> float:
        """Mean over the classes of the area under the ROC curve of the class against the others.

        It is the probability that a picture of the class has a higher probability of the class than one of another
        class, half a tie included. Classes of which the part has no or only pictures are left out; NaN if all are.
        """
        areas = []
        for label in np.unique(self.labels):
            of_class = self.labels == label
            inside, outside = (
                self.probabilities[of_class, label],
                np.sort(self.probabilities[~of_class, label]),
            )
            if len(outside):
                below, at_most = (np.searchsorted(outside, inside, side) for side in ("left", "right"))
                areas.append((below + at_most).mean() / (2 * len(outside)))
        return float(np.mean(areas)) if areas else float("nan")

    @property
    def top3(self) -> float:
        """Fraction of pictures for which fewer than three other classes are at least as probable as the true one."""
        own = self.probabilities[np.arange(len(self.labels)), self.labels]
        return float(np.mean((self.probabilities >= own[:, None]).sum(axis=1) <= TOP))

    @property
    def _counts(self) -> npt.NDArray[np.int64]:
        return confusion_counts(self.labels, self.predicted, self.probabilities.shape[1])


def with_probabilities(model: keras.Model) -> keras.Model:
    """A model that shares the weights and returns probabilities instead of logits."""
    outputs = keras.layers.Softmax(name="probabilities")(model.output)
    return keras.Model(model.input, outputs, name=model.name)


def predict(forward: Forward, batches: "tf.data.Dataset", part: Part) -> Predictions:
    """Apply a model that returns logits to a part, without augmentation.

    Args:
        forward: From `traced`, for a model that takes the inputs of the batches.
        batches: One pass over the part in its order, (inputs, labels).
        part: Provides the labels.
    """
    logits = np.concatenate([np.asarray(forward(inputs)) for inputs, _ in batches])
    return Predictions(np.asarray(keras.ops.softmax(logits), dtype=np.float32), part.labels)


def traced(model: keras.Model) -> Forward:
    """A model in inference mode as one TensorFlow function, for batches of any size; it follows changes of its weights."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *model.input.shape[1:]), tf.float32)]
    forward: Forward = tf.function(
        lambda inputs: model(inputs, training=False), autograph=False, input_signature=signature
    )
    return forward
