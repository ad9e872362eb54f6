"""Sharpening and blurring: filters over neighbouring pixels."""

# ruff: noqa: ARG002
# Every augmentation has the same two methods, even if it does not need all their arguments.

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flowersweep.augment.base import Augmentation, Parameters, Uniforms, clip, per_picture, symmetric
from flowersweep.fields import bounded

if TYPE_CHECKING:
    import tensorflow as tf


def sharpen(images: "tf.Tensor", factor: "tf.Tensor") -> "tf.Tensor":
    """Sharpen (`factor` above 1) or smooth (below 1) pictures, as Pillow's Sharpness does.

    Smoothing is the 3 x 3 kernel of ones with a 5 in the middle, divided by 13; the outermost pixels are unchanged.
    """
    import tensorflow as tf

    inner = images[:, 1:-1, 1:-1]
    rows = images[:, :-2] + images[:, 1:-1] + images[:, 2:]
    smooth = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4.0 * inner) / 13.0
    change = (inner - smooth) * (per_picture(factor) - 1.0)
    return clip(images + tf.pad(change, [[0, 0], [1, 1], [1, 1], [0, 0]]))


def blur(images: "tf.Tensor", weights: "tf.Tensor") -> "tf.Tensor":
    """Filter rows, then columns, with separate `weights` for each picture, shape (batch, kernel_size), and reflection at the edges."""
    import tensorflow as tf

    taps, size = weights.shape[1], images.shape[1]
    margin = taps // 2
    columns = [per_picture(weights[:, tap]) for tap in range(taps)]
    # Not padded by TensorFlow, which can only reflect once: the margin may be wider than a small picture.
    place = np.arange(-margin, size + margin) % (2 * size)
    place = np.minimum(place, 2 * size - 1 - place)
    padded = tf.gather(images, place, axis=1)
    rows = sum(padded[:, tap : tap + size] * columns[tap] for tap in range(taps))
    padded = tf.gather(rows, place, axis=2)
    return clip(sum(padded[:, :, tap : tap + size] * columns[tap] for tap in range(taps)))


@dataclass
class RandomSharpness(Augmentation):
    """Sharpen or soften: scale the distance from the smoothed picture by 1 - factor to 1 + factor.

    It has the name of Keras 3.15's layer, for which 0.5 is no change; here no change is 0, as for the other factors.

    Attributes:
        factor: Largest change of the sharpness, up or down; 1 is from fully smoothed to sharpened by the same amount.
    """

    draws: ClassVar[tuple[str, ...]] = ("factor",)

    name: str = "RandomSharpness"
    factor: float = bounded(0.9, low=0.0, high=4.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `factor`, shape (n,), values 1 - factor to 1 + factor."""
        return {"factor": (1.0 + symmetric(uniforms[:, 0], self.factor)).astype(np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Sharpen or soften."""
        return sharpen(images, parameters["factor"])


@dataclass
class RandomGaussianBlur(Augmentation):
    """Blur with a Gaussian whose width is drawn for each picture.

    Keras 3.15's layer of this name draws one width per axis for all pictures of a batch.

    Attributes:
        kernel_size: Side length of the filter in pixels, odd.
        sigma: Largest standard deviation in pixels; that of each picture is drawn from 0 to this.
    """

    draws: ClassVar[tuple[str, ...]] = ("sigma",)

    name: str = "RandomGaussianBlur"
    kernel_size: int = bounded(5, low=1, high=31)
    sigma: float = bounded(1.5, low=0.0, high=10.0)

    def problems(self) -> list[str]:
        """The size of the filter must be odd, so that it has a centre."""
        if self.kernel_size % 2:
            return []
        return [
            f"{self.name}.kernel_size must be odd, but is {self.kernel_size}; use {self.kernel_size + 1}."
        ]

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `weights`, shape (n, kernel_size), each row summing to 1."""
        sigma = np.maximum(uniforms * self.sigma, 1e-3)  # narrow enough that only the central weight is left
        distance = np.arange(self.kernel_size) - self.kernel_size // 2
        weights = np.exp(-0.5 * (distance / sigma) ** 2)
        return {"weights": (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Blur each picture with its weights."""
        return blur(images, parameters["weights"])
