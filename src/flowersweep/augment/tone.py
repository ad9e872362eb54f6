"""Brightness, contrast and other augmentations that map pixel values."""

# ruff: noqa: ARG002
# Every augmentation has the same two methods, even if it does not need all their arguments.

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flowersweep.augment.base import Augmentation, Parameters, Uniforms, clip, per_picture, symmetric
from flowersweep.fields import bounded

if TYPE_CHECKING:
    import tensorflow as tf


def integer_mean(images: "tf.Tensor") -> "tf.Tensor":
    """Mean over the pixels of each picture and channel, shape (batch, 1, 1, channels), float32.

    Values are rounded and summed as integers: a sum of floats would depend on its order, and therefore on the
    threads and the batch. It is within 0.5 of the true mean, and exact for integers.
    """
    import tensorflow as tf

    values = _pixels(tf.cast(tf.round(images), tf.int32))
    total = tf.cast(tf.reduce_sum(values, axis=1), tf.float32)
    return (total / float(values.shape[1]))[:, None, None, :]


def _pixels(images: "tf.Tensor") -> "tf.Tensor":
    """The pictures as lists of pixels, shape (batch, pixels, 3): reducing one axis is twice as fast as two."""
    import tensorflow as tf

    return tf.reshape(images, [-1, images.shape[1] * images.shape[2], 3])


def contrast(images: "tf.Tensor", factor: "tf.Tensor") -> "tf.Tensor":
    """Scale the distance from each channel's mean in the picture by `factor`, shape (batch,); 1 changes nothing."""
    factor = per_picture(factor)
    return clip(images * factor + integer_mean(images) * (1.0 - factor))


def posterize(images: "tf.Tensor", step: "tf.Tensor") -> "tf.Tensor":
    """Round values down to multiples of `step`, shape (batch,), a power of two: 2 ** (8 - bits kept)."""
    import tensorflow as tf

    step = per_picture(step)
    return tf.floor(images / step) * step


def solarize(images: "tf.Tensor", threshold: "tf.Tensor") -> "tf.Tensor":
    """Invert the values that are not below `threshold`, shape (batch,); 256 changes nothing."""
    import tensorflow as tf

    above = tf.cast(images >= per_picture(threshold), tf.float32)
    return tf.abs(images - 255.0 * above)  # three times as fast as tf.where


def autocontrast(images: "tf.Tensor", _: "tf.Tensor") -> "tf.Tensor":
    """Stretch each channel of each picture to 0..255; a channel with a single value stays unchanged."""
    import tensorflow as tf

    low, high = tf.reduce_min(_pixels(images), axis=1), tf.reduce_max(_pixels(images), axis=1)
    flat = high <= low
    low = tf.where(flat, 0.0, low)
    scale = 255.0 / tf.where(flat, 255.0, high - low)
    return clip((images - low[:, None, None, :]) * scale[:, None, None, :])


def equalize(images: "tf.Tensor", _: "tf.Tensor") -> "tf.Tensor":
    """Equalize the histogram of each channel of each picture, with the table of Pillow's equalize."""
    import tensorflow as tf

    values = tf.cast(tf.round(images), tf.int32)
    channels = tf.shape(values)[0] * 3
    owner = tf.reshape(tf.range(channels), [-1, 1, 1, 3]) * 256  # each channel of a picture has 256 counters
    counts = tf.math.bincount(tf.reshape(values + owner, [-1]), minlength=channels * 256)
    counts = tf.reshape(counts, [-1, 256])
    last = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1, keepdims=True)
    step = (tf.reduce_sum(counts, axis=1, keepdims=True) - tf.gather(counts, last, batch_dims=1)) // 255
    below = tf.cumsum(counts, axis=1, exclusive=True)
    table = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    table = tf.where(step > 0, table, tf.range(256))
    return tf.cast(tf.gather(tf.reshape(table, [-1]), values + owner), tf.float32)


@dataclass
class RandomContrast(Augmentation):
    """Scale each picture's contrast by 1 - factor to 1 + factor (the published study's RandomContrast(0.2)).

    The distance from each channel's mean in the picture is scaled, and the result clipped to 0..255. Keras 3.15 draws
    from 1 to 1 + factor and so only increases the contrast.

    Attributes:
        factor: Largest change of the contrast, up or down, as a fraction of it.
    """

    draws: ClassVar[tuple[str, ...]] = ("factor",)

    name: str = "RandomContrast"
    factor: float = bounded(0.2, low=0.0, high=1.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `factor`, shape (n,), values 1 - factor to 1 + factor."""
        return {"factor": (1.0 + symmetric(uniforms[:, 0], self.factor)).astype(np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Scale the contrast."""
        return contrast(images, parameters["factor"])


@dataclass
class RandomBrightness(Augmentation):
    """Add one number to all values of a picture, clipped to 0..255 (Keras 3's RandomBrightness).

    Attributes:
        factor: Largest number added or subtracted, in units of 255.
    """

    draws: ClassVar[tuple[str, ...]] = ("delta",)

    name: str = "RandomBrightness"
    factor: float = bounded(0.2, low=0.0, high=1.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `delta`, shape (n,), values +-255 * factor."""
        return {"delta": symmetric(uniforms[:, 0], 255.0 * self.factor).astype(np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Add `delta`."""
        return clip(images + per_picture(parameters["delta"]))


@dataclass
class RandomInvert(Augmentation):
    """Invert some pictures: 255 minus the value.

    Keras 3.15's layer of this name draws the probability itself from 0 to `factor`, and so inverts half as many on average.

    Attributes:
        factor: Probability that a picture is inverted.
    """

    draws: ClassVar[tuple[str, ...]] = ("inverted",)

    name: str = "RandomInvert"
    factor: float = bounded(0.5, low=0.0, high=1.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `threshold`, shape (n,): 0 inverts every value, 256 none."""
        return {"threshold": np.where(uniforms[:, 0] < self.factor, 0.0, 256.0).astype(np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Invert above the threshold."""
        return solarize(images, parameters["threshold"])


@dataclass
class RandomPosterization(Augmentation):
    """Keep the highest bits of every 8-bit value (posterize of Cubuk et al. 2018, arXiv 1805.09501).

    Keras 3.15's layer of this name draws fewer than `factor` bits, at least 1; here `factor` is the minimum.

    Attributes:
        factor: Minimum number of bits; each picture keeps `factor` to 8 of them, all equally likely.
    """

    draws: ClassVar[tuple[str, ...]] = ("bits",)

    name: str = "RandomPosterization"
    factor: int = bounded(3, low=1, high=8)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `step`, shape (n,): the power of two that values are rounded down to a multiple of."""
        bits = self.factor + np.floor(uniforms[:, 0] * (9 - self.factor))
        return {"step": (2.0 ** (8 - bits)).astype(np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Round the values down."""
        return posterize(images, parameters["step"])
