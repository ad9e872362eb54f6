"""Rotation, zoom, translation and shear: augmentations that are one matrix per picture.

A matrix maps a point of the result to the point of the source it is read from, both measured from the centre
of the picture in units of its side length, x to the right and y down, so it is independent of the picture size.
"""

# ruff: noqa: ARG002
# Every augmentation has the same two methods, even if it does not need all their arguments.

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from flowersweep.augment.base import Array, Augmentation, Parameters, Uniforms, clip, symmetric
from flowersweep.fields import bounded

if TYPE_CHECKING:
    import tensorflow as tf

Numbers = npt.ArrayLike
Row = tuple[Numbers, Numbers, Numbers]


def matrices(x: Row, y: Row) -> Array:
    """Stack two rows of entries, each a number or an array of shape (n,), into float32 matrices, shape (n, 2, 3)."""
    entries = np.broadcast_arrays(*(np.atleast_1d(entry) for entry in (*x, *y)))
    return np.stack(entries, axis=-1).reshape(-1, 2, 3).astype(np.float32)


def rotation(degrees: Numbers) -> Array:
    """Matrices that rotate pictures counter-clockwise about their centre."""
    angle = np.deg2rad(degrees)
    return matrices((np.cos(angle), -np.sin(angle), 0), (np.sin(angle), np.cos(angle), 0))


def translation(right: Numbers, down: Numbers) -> Array:
    """Matrices that shift pictures by fractions of their side length."""
    return matrices((1, 0, np.negative(right)), (0, 1, np.negative(down)))


def zoom(height: Numbers, width: Numbers) -> Array:
    """Matrices that show `height` times `width` of the source: below 1 enlarges, above 1 shrinks."""
    return matrices((width, 0, 0), (0, height, 0))


def shear(along_x: Numbers, along_y: Numbers) -> Array:
    """Matrices that read x + along_x * y and y + along_y * x."""
    return matrices((1, along_x, 0), (along_y, 1, 0))


def warp(images: "tf.Tensor", matrix: "tf.Tensor") -> "tf.Tensor":
    """Read each pixel of the result from the position given by `matrix`, bilinearly, with reflection at the edges.

    Args:
        images: float32, shape (batch, size, size, 3), values 0..255.
        matrix: float32, shape (batch, 2, 3), as this module defines it.

    Returns:
        float32, shape (batch, size, size, 3), values 0..255. The identity matrix changes no bit.
    """
    import tensorflow as tf

    size = images.shape[1]
    centre = (size - 1) / 2  # pixel k has its centre at k, so the middle of the picture is here
    linear, shift = matrix[:, :, :2], matrix[:, :, 2]
    # Written term by term: a matrix product may sum in another order for another batch size.
    offset = (centre - linear[:, :, 0] * centre) - linear[:, :, 1] * centre + shift * float(size)
    rows = tf.concat([linear, offset[:, :, None]], axis=2)
    projective = tf.pad(tf.reshape(rows, [-1, 6]), [[0, 0], [0, 2]])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=projective,
        output_shape=[size, size],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return clip(moved)  # due to rounding, the weights of the four pixels may sum to slightly more than 1


def _where(touched: npt.NDArray[np.bool_], matrix: Array) -> Array:
    """Keep the matrices where `touched`, shape (n,), is true; the other pictures get the identity."""
    return np.where(touched[:, None, None], matrix, matrices((1, 0, 0), (0, 1, 0)))


@dataclass
class Affine(Augmentation):
    """Base of the augmentations whose only parameter is `matrix`, shape (n, 2, 3).

    The edges are filled by reflection and pixels are read bilinearly, as in the published study.
    """

    def matrix(self, uniforms: Uniforms) -> Array:
        """One matrix per picture, float32 of shape (n, 2, 3), from uniform numbers of shape (n, n_uniforms)."""
        raise NotImplementedError

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `matrix`, shape (n, 2, 3)."""
        return {"matrix": self.matrix(uniforms)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Warp each picture by its matrix."""
        return warp(images, parameters["matrix"])


@dataclass
class RandomRotation(Affine):
    """Rotate about the centre by an angle drawn from +-factor * 360 degrees (the published study's RandomRotation(0.2)).

    Attributes:
        factor: Largest angle as a fraction of a full turn; 0.2 is +-72 degrees. Positive is counter-clockwise.
    """

    draws: ClassVar[tuple[str, ...]] = ("angle",)

    name: str = "RandomRotation"
    factor: float = bounded(0.2, low=0.0, high=1.0)

    def matrix(self, uniforms: Uniforms) -> Array:
        """Rotations by independent angles."""
        return rotation(symmetric(uniforms[:, 0], 360.0 * self.factor))


@dataclass
class RandomZoom(Affine):
    """Zoom height and width, drawn independently (the published study's RandomZoom(0.1, 0.1), as in Keras).

    The visible part of the source is 1 - factor to 1 + factor of its height and width.

    Attributes:
        height_factor: Largest change of the height, as a fraction of it.
        width_factor: The same for the width; with None, the width follows the height, which preserves the aspect ratio.
    """

    draws: ClassVar[tuple[str, ...]] = ("height", "width")

    name: str = "RandomZoom"
    height_factor: float = bounded(0.1, low=0.0, below=1.0)
    width_factor: float | None = bounded(0.1, low=0.0, below=1.0)

    def matrix(self, uniforms: Uniforms) -> Array:
        """Zooms that are independent in height and width unless `width_factor` is None."""
        height = 1.0 + symmetric(uniforms[:, 0], self.height_factor)
        if self.width_factor is None:
            return zoom(height, height)
        return zoom(height, 1.0 + symmetric(uniforms[:, 1], self.width_factor))


@dataclass
class RandomTranslation(Affine):
    """Shift vertically and horizontally, drawn independently (the published study's RandomTranslation(0.1, 0.1)).

    Attributes:
        height_factor: Largest vertical shift, as a fraction of the height.
        width_factor: Largest horizontal shift, as a fraction of the width.
    """

    draws: ClassVar[tuple[str, ...]] = ("down", "right")

    name: str = "RandomTranslation"
    height_factor: float = bounded(0.1, low=0.0, high=1.0)
    width_factor: float = bounded(0.1, low=0.0, high=1.0)

    def matrix(self, uniforms: Uniforms) -> Array:
        """Translations that are independent in the two directions."""
        right = symmetric(uniforms[:, 1], self.width_factor)
        return translation(right, symmetric(uniforms[:, 0], self.height_factor))


@dataclass
class RandomShear(Affine):
    """Shear along x and along y, drawn independently, about the centre of the picture.

    Keras 3.15's layer of this name draws the same values and shears about the upper left corner.

    Attributes:
        x_factor: Largest shift along x per pixel of distance from the middle row; 0.2 is 11 degrees.
        y_factor: Largest shift along y per pixel of distance from the middle column.
    """

    draws: ClassVar[tuple[str, ...]] = ("x", "y")

    name: str = "RandomShear"
    x_factor: float = bounded(0.2, low=0.0, high=1.0)
    y_factor: float = bounded(0.2, low=0.0, high=1.0)

    def matrix(self, uniforms: Uniforms) -> Array:
        """Shears that are independent in the two directions."""
        return shear(symmetric(uniforms[:, 0], self.x_factor), symmetric(uniforms[:, 1], self.y_factor))


@dataclass
class RandomRotation_prob(RandomRotation):  # noqa: N801 - the published study's spelling is the name in the configuration
    """`RandomRotation` that leaves a picture unchanged with probability 1 - p (a custom layer in the published study).

    Attributes:
        p: Probability that the picture is rotated.
    """

    draws: ClassVar[tuple[str, ...]] = (*RandomRotation.draws, "touched")

    name: str = "RandomRotation_prob"
    p: float = bounded(0.5, low=0.0, high=1.0)

    def matrix(self, uniforms: Uniforms) -> Array:
        """Rotations, or the identity for unchanged pictures."""
        return _where(uniforms[:, -1] < self.p, super().matrix(uniforms))


@dataclass
class RandomTranslation_prob(RandomTranslation):  # noqa: N801 - the published study's spelling, as above
    """`RandomTranslation` that leaves a picture unchanged with probability 1 - p (a custom layer in the published study).

    Attributes:
        p: Probability that the picture is shifted.
    """

    draws: ClassVar[tuple[str, ...]] = (*RandomTranslation.draws, "touched")

    name: str = "RandomTranslation_prob"
    p: float = bounded(0.5, low=0.0, high=1.0)

    def matrix(self, uniforms: Uniforms) -> Array:
        """Translations, or the identity for unchanged pictures."""
        return _where(uniforms[:, -1] < self.p, super().matrix(uniforms))
