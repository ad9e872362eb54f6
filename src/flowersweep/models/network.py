"""A network in two parts: a prefix that is never trained and a suffix that is.

Importing this module imports Keras.
"""

from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Network:
    """One network, seen as prefix and suffix and as a whole; all three share their weights.

    Attributes:
        prefix: From pictures, float32 (batch, size, size, 3), 0..255, to features; None if pictures are the
            features. Holds no weight that is trained and no BatchNorm whose statistics move.
        suffix: From features to logits (batch, num_classes); what an optimizer trains.
        whole: From pictures to logits, built of Keras' own layers only, to evaluate and to save.
        base: The backbone, a part of `whole`; None for a network without one.
        cut: Index of the base's layer whose output the prefix gives; None where there is no base.
    """

    prefix: keras.Model | None
    suffix: keras.Model
    whole: keras.Model
    base: keras.Model | None = None
    cut: int | None = None

    def trained(self) -> keras.Model:
        """Prefix and suffix as one model to fit: the prefix always in inference mode."""
        if self.prefix is None:
            return self.suffix
        pictures = keras.Input(self.prefix.input.shape[1:], name="pictures")
        features = InferenceMode(self.prefix, name="prefix")(pictures)
        return keras.Model(pictures, self.suffix(features), name="trained")


class InferenceMode(keras.layers.Layer):
    """Runs a model in inference mode whatever mode the outer model is in; its weights may still be trained.

    Keras 3 overwrites the `training=False` of a model called inside a functional graph with the outer mode, so
    that a fine-tuned BatchNorm moves its statistics and validation accuracy collapses. A layer's own `call` is
    not rewritten: here the inner mode holds, while gamma and beta of BatchNorm get their gradients.

    Args:
        inner: The model to run.
    """

    def __init__(self, inner: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs: Any) -> Any:
        """The inner model's output in inference mode."""
        return self.inner(inputs, training=False)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The inner model's output shape."""
        return self.inner.compute_output_shape(input_shape)
