"""A network in two parts: an untrained prefix and a trained suffix.

Importing this module imports Keras.
"""

from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Network:
    """A network as prefix, as suffix and as a complete model; all three share their weights.

    Attributes:
        prefix: From pictures, float32 (batch, size, size, 3), 0..255, to features; None if pictures are the
            features. Has no trained weights and no BatchNorm whose statistics change.
        suffix: From features to logits (batch, num_classes); trained by the optimizer.
        whole: From pictures to logits, built only of Keras' own layers, for evaluation and saving.
        base: The backbone, a part of `whole`; None for a network without one.
        cut: Index of the base's layer whose output is that of the prefix; None if there is no base.
    """

    prefix: keras.Model | None
    suffix: keras.Model
    whole: keras.Model
    base: keras.Model | None = None
    cut: int | None = None

    def trained(self) -> keras.Model:
        """Prefix and suffix as one model to fit, with the prefix always in inference mode."""
        if self.prefix is None:
            return self.suffix
        pictures = keras.Input(self.prefix.input.shape[1:], name="pictures")
        features = InferenceMode(self.prefix, name="prefix")(pictures)
        return keras.Model(pictures, self.suffix(features), name="trained")


class InferenceMode(keras.layers.Layer):
    """Runs a model in inference mode, whatever the mode of the outer model; its weights may still be trained.

    Keras 3 overwrites the `training=False` of a model called inside a functional graph with the outer mode, so
    the statistics of a fine-tuned BatchNorm change and validation accuracy collapses. A layer's own `call` is not
    rewritten: the inner mode is preserved, and gamma and beta of BatchNorm get their gradients.

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
