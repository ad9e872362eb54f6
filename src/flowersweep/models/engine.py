"""The base class of engines, which compute a prefix's features from pictures, and the TensorFlow engine.

Importing this module imports neither Keras nor TensorFlow.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

Floats = npt.NDArray[np.float32]
EngineName = Literal["tensorflow", "litert"]


class Engine(ABC):
    """Computes features. May be called from several threads.

    Attributes:
        name: "tensorflow" or "litert".
        disagreement: Largest absolute difference from TensorFlow's features on the sample; 0 for TensorFlow itself.
    """

    name: EngineName
    disagreement = 0.0

    def __init__(self, prefix: "keras.Model", batch: int) -> None:
        self._batch_shape = (batch, *prefix.input.shape[1:])
        self._feature_shape = tuple(prefix.output.shape[1:])

    def run(self, pictures: Floats) -> Floats:
        """Compute the features of any number of pictures; the features of a picture do not depend on the others.

        Args:
            pictures: float32, shape (n, size, size, 3), 0..255.

        Returns:
            float32, shape (n, *features).
        """
        batch = self._batch_shape[0]
        features = np.empty((len(pictures), *self._feature_shape), np.float32)
        for start in range(0, len(pictures), batch):
            given = pictures[start : start + batch]
            if len(given) < batch:  # a call with another size would repeat the setup
                padded = np.zeros(self._batch_shape, np.float32)
                padded[: len(given)] = given
                features[start:] = self._run_batch(padded)[: len(given)]
            else:
                features[start : start + batch] = self._run_batch(given)
        return features

    @abstractmethod
    def _run_batch(self, pictures: Floats) -> Floats:
        """Compute the features of exactly one batch."""


class TensorFlowEngine(Engine):
    """The prefix as one traced function, in inference mode."""

    name = "tensorflow"

    def __init__(self, prefix: "keras.Model", batch: int) -> None:
        super().__init__(prefix, batch)
        self._function = traced(prefix, self._batch_shape)

    def _run_batch(self, pictures: Floats) -> Floats:
        features: Floats = np.asarray(self._function(pictures), np.float32)
        return features


def traced(prefix: "keras.Model", shape: tuple[int, ...]) -> Any:
    """A prefix in inference mode as a TensorFlow function for pictures of one shape, including the batch axis."""
    import tensorflow as tf

    signature = [tf.TensorSpec(shape, tf.float32)]
    return tf.function(
        lambda pictures: prefix(pictures, training=False), autograph=False, input_signature=signature
    )
