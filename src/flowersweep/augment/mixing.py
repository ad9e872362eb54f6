"""MixUp and CutMix: every picture is mixed with another training picture, and its label with that picture's label.

The other picture is drawn like everything else, from (seed, epoch, picture index), and not taken from the batch, so that
neither batch size nor order changes a picture. It is mixed as the other layers of a stack have augmented it in the same epoch.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from flowersweep.augment.base import Array, Augmentation, Parameters, Uniforms, per_picture
from flowersweep.fields import bounded

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass
class Mixing(Augmentation):
    """Base of augmentations that mix two pictures: how much of each is drawn.

    The share of the picture itself is at least a half: of two numbers that add up to 1 and follow a symmetric
    beta distribution it is the larger one. The most probable class of a mixed label is therefore the picture's own.

    Attributes:
        alpha: Both parameters of the beta distribution: near 0, pictures are hardly mixed; 1 is the uniform distribution.
        factor: The fraction of pictures that are mixed.
    """

    draws: ClassVar[tuple[str, ...]] = ("other", "share", "touched")
    mixes: ClassVar[bool] = True

    alpha: float = bounded(1.0, above=0.0, high=100.0)
    factor: float = bounded(1.0, low=0.0, high=1.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `other`, which picture is mixed in, 0..1, and `share`, that of the picture itself, 0.5..1; shapes (n,)."""
        from scipy.special import betaincinv  # type: ignore[import-untyped] # it ships no types

        other, share, touched = uniforms[:, :3].T
        share = betaincinv(self.alpha, self.alpha, share)
        share = np.where(touched < self.factor, np.maximum(share, 1.0 - share), 1.0)
        return {"other": other.astype(np.float32), "share": share.astype(np.float32)}

    def others(self, parameters: Parameters, count: int) -> npt.NDArray[np.int64]:
        """Which of `count` training pictures is mixed into each picture, shape (n,), 0..count - 1."""
        places = (parameters["other"].astype(np.float64) * count).astype(np.int64)
        return np.minimum(places, count - 1)

    def shares(self, parameters: Parameters, image_size: int) -> Array:  # noqa: ARG002 (not all need the size)
        """The share of each picture itself in the result and in its label, shape (n,)."""
        return parameters["share"]


@dataclass
class MixUp(Mixing):
    """Weighted means of two pictures (Zhang et al. 2017, arXiv 1710.09412)."""

    name: str = "MixUp"
    alpha: float = bounded(0.2, above=0.0, high=100.0)

    def mix(
        self,
        images: "tf.Tensor",
        others: "tf.Tensor",
        parameters: "dict[str, tf.Tensor]",
        image_size: int,  # noqa: ARG002 (CutMix needs it)
    ) -> "tf.Tensor":
        """The weighted means."""
        share = per_picture(parameters["share"])
        return images * share + others * (1.0 - share)


@dataclass
class CutMix(Mixing):
    """Replace a rectangle of a picture by that of another one (Yun et al. 2019, arXiv 1905.04899).

    The rectangle has the picture's aspect ratio and its centre anywhere, so a part of it may lie outside. The label has the
    share of the pixels that are left.
    """

    draws: ClassVar[tuple[str, ...]] = (*Mixing.draws, "row", "column")

    name: str = "CutMix"

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """As the base class, and `box`, shape (n, 4): top, left, bottom, right as fractions 0..1 of the side length."""
        found = super().parameters(uniforms)
        side = np.sqrt(1.0 - found["share"].astype(np.float64))[:, None]
        centre = uniforms[:, 3:5]
        box = np.concatenate([centre - side / 2, centre + side / 2], axis=1).clip(0.0, 1.0)
        return {**found, "box": box.astype(np.float32)}

    def shares(self, parameters: Parameters, image_size: int) -> Array:
        """The fraction of the pixels outside of the rectangle."""
        top, left, bottom, right = np.rint(parameters["box"] * np.float32(image_size)).T
        return np.asarray(1.0 - (bottom - top) * (right - left) / image_size**2, np.float32)

    def mix(
        self,
        images: "tf.Tensor",
        others: "tf.Tensor",
        parameters: "dict[str, tf.Tensor]",
        image_size: int,
    ) -> "tf.Tensor":
        """Replace the rectangles."""
        import tensorflow as tf

        place = tf.range(float(image_size))
        first, last = tf.split(tf.round(parameters["box"] * float(image_size)), 2, axis=1)
        inside = (place >= first[:, :, None]) & (place < last[:, :, None])
        return tf.where(inside[:, 0, :, None, None] & inside[:, 1, None, :, None], others, images)


def mixed_labels(
    labels: npt.NDArray[np.int32],
    others: npt.NDArray[np.int32],
    shares: Array,
    n_classes: int,
) -> Array:
    """The labels of mixed pictures, float32, shape (n, n_classes), rows that sum to 1.

    Args:
        labels: The classes of the pictures themselves, shape (n,).
        others: The classes of the pictures that are mixed in, shape (n,).
        shares: From `Mixing.shares`.
        n_classes: The number of classes.
    """
    rows = np.arange(len(labels))
    mixed = np.zeros((len(labels), n_classes), np.float32)
    mixed[rows, labels] = shares
    mixed[rows, others] += 1.0 - shares
    return mixed
