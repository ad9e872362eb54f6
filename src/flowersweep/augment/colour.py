"""Hue, saturation and grey: augmentations that are one 3 x 3 matrix of the colour channels per picture."""

# ruff: noqa: ARG002
# Every augmentation has the same two methods, even if it does not need all their arguments.

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flowersweep.augment.base import Array, Augmentation, Parameters, Uniforms, clip, symmetric
from flowersweep.fields import bounded

if TYPE_CHECKING:
    import tensorflow as tf

# ITU-R BT.601, as in Pillow's conversion to grey and in the YIQ colours of analogue television.
LUMA = np.array([0.299, 0.587, 0.114])
YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def saturation(factor: Uniforms) -> Array:
    """Matrices, shape (n, 3, 3), that scale the distance from grey by `factor`, shape (n,)."""
    factor = factor[:, None, None]
    return np.asarray(factor * np.eye(3) + (1.0 - factor) * LUMA, dtype=np.float32)


def hue(degrees: Uniforms) -> Array:
    """Matrices, shape (n, 3, 3), that rotate colours about the grey axis by an angle, shape (n,), preserving the luma."""
    angle = np.deg2rad(degrees)
    turn = np.zeros((len(angle), 3, 3))
    turn[:, 0, 0] = 1.0
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -np.sin(angle), np.sin(angle)
    return np.asarray(np.linalg.inv(YIQ) @ turn @ YIQ, dtype=np.float32)


def mix(images: "tf.Tensor", matrix: "tf.Tensor") -> "tf.Tensor":
    """Make each channel the sum of the three, weighted by a row of `matrix`, shape (batch, 3, 3), clipped to 0..255."""
    import tensorflow as tf

    # Term by term: a matrix product may sum in another order for another batch size.
    red, green, blue = tf.unstack(images, axis=-1)
    weights = matrix[:, :, :, None, None]
    rows = [red * weights[:, i, 0] + green * weights[:, i, 1] + blue * weights[:, i, 2] for i in range(3)]
    return clip(tf.stack(rows, axis=-1))


@dataclass
class ColourMatrix(Augmentation):
    """Base of the augmentations whose only parameter is `matrix`, shape (n, 3, 3)."""

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Mix the channels."""
        return mix(images, parameters["matrix"])


@dataclass
class RandomSaturation(ColourMatrix):
    """Scale the distance of every colour from its grey by 1 - factor to 1 + factor.

    It has the name of Keras 3.15's layer, which scales the saturation of HSV and for which 0.5 is no change; here no
    change is 0, as for the other factors.

    Attributes:
        factor: Largest change of the saturation, up or down, as a fraction of it; with 1 a picture may become grey.
    """

    draws: ClassVar[tuple[str, ...]] = ("factor",)

    name: str = "RandomSaturation"
    factor: float = bounded(0.5, low=0.0, high=1.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `matrix`, shape (n, 3, 3)."""
        return {"matrix": saturation(1.0 + symmetric(uniforms[:, 0], self.factor))}


@dataclass
class RandomHue(ColourMatrix):
    """Rotate all hues by an angle drawn from +-factor * 180 degrees.

    The colours are rotated about the grey axis in YIQ, so grey stays grey and the luma is preserved. Keras 3.15's layer
    of this name draws the same angles and rotates in HSV, which preserves the largest channel and not the luma.

    Attributes:
        factor: Largest angle as a fraction of 180 degrees, in either direction.
    """

    draws: ClassVar[tuple[str, ...]] = ("angle",)

    name: str = "RandomHue"
    factor: float = bounded(0.1, low=0.0, high=1.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `matrix`, shape (n, 3, 3)."""
        return {"matrix": hue(symmetric(uniforms[:, 0], 180.0 * self.factor))}


@dataclass
class RandomGrayscale(ColourMatrix):
    """Convert some pictures to grey: their three channels become the luma (Keras 3's RandomGrayscale).

    Attributes:
        factor: Probability that a picture becomes grey.
    """

    draws: ClassVar[tuple[str, ...]] = ("grey",)

    name: str = "RandomGrayscale"
    factor: float = bounded(0.5, low=0.0, high=1.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `matrix`, shape (n, 3, 3): the luma in all rows, or the identity."""
        return {"matrix": saturation((uniforms[:, 0] >= self.factor).astype(np.float64))}
