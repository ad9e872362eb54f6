"""What a trained model says about a part of the data. Importing this module imports Keras."""

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

from flowersweep.data.stream import Part, evaluation_stream


@dataclass(frozen=True)
class Predictions:
    """Probabilities and truth of each picture of a part, in the part's own order.

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
    """The same model, its weights shared, giving probabilities in place of logits."""
    outputs = keras.layers.Softmax(name="probabilities")(model.output)
    return keras.Model(model.input, outputs, name=model.name)


def predict(served: keras.Model, part: Part) -> Predictions:
    """Run a model that gives probabilities over a part, without augmentation."""
    batches = [np.asarray(served(images, training=False)) for images, _ in evaluation_stream(part)]
    return Predictions(np.concatenate(batches), part.labels)
