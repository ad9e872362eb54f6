"""Random erasing, which covers parts of pictures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flowersweep.augment.base import Augmentation, Parameters, Uniforms
from flowersweep.fields import bounded

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass
class RandomErasing(Augmentation):
    """Cover a random rectangle of some pictures (Zhong et al. 2017, arXiv 1708.04896).

    The area and the logarithm of the aspect ratio are drawn uniformly; the aspect ratio is limited to what fits, while
    the paper draws again until it fits. The paper fills with noise; here a rectangle has one random colour.

    Attributes:
        factor: Probability that a rectangle is drawn.
        scale_low: Smallest area of the rectangle, as a fraction of the picture's.
        scale_high: Largest area.
        ratio: Smallest aspect ratio, height by width; its inverse is the largest.
        fill_value: One value 0..255 for all rectangles, or null for a random colour each.
    """

    draws: ClassVar[tuple[str, ...]] = ("touched", "area", "aspect", "top", "left", "red", "green", "blue")

    name: str = "RandomErasing"
    factor: float = bounded(0.5, low=0.0, high=1.0)
    scale_low: float = bounded(0.02, low=0.0, high=1.0)
    scale_high: float = bounded(0.33, low=0.0, high=1.0)
    ratio: float = bounded(0.3, above=0.0, high=1.0)
    fill_value: float | None = bounded(None, low=0.0, high=255.0)

    def problems(self) -> list[str]:
        """The smallest area must not be larger than the largest."""
        if self.scale_low <= self.scale_high:
            return []
        return [
            f"{self.name}.scale_low must be at most scale_high ({self.scale_high}), but is {self.scale_low}."
        ]

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `box`, shape (n, 4), and `colour`, shape (n, 3), values 0..255.

        A box is top, left, bottom, right as fractions 0..1 of the side length; an empty one leaves the picture unchanged.
        """
        touched, area, aspect, top, left = uniforms[:, :5].T
        area = (self.scale_low + (self.scale_high - self.scale_low) * area) * (touched < self.factor)
        widest = np.clip(self.ratio, np.maximum(area, 1e-6), 1.0)
        aspect = widest ** (2.0 * aspect - 1.0)
        height, width = np.sqrt(area * aspect), np.sqrt(area / aspect)
        top, left = top * (1.0 - height), left * (1.0 - width)
        colour = (
            uniforms[:, 5:8] * 255.0 if self.fill_value is None else np.full((len(area), 3), self.fill_value)
        )
        box = np.stack([top, left, top + height, left + width], axis=1)
        return {"box": box.astype(np.float32), "colour": colour.astype(np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Fill the boxes."""
        import tensorflow as tf

        place = tf.range(float(image_size))
        first, last = tf.split(tf.round(parameters["box"] * float(image_size)), 2, axis=1)
        inside = (place >= first[:, :, None]) & (place < last[:, :, None])
        covered = inside[:, 0, :, None, None] & inside[:, 1, None, :, None]
        return tf.where(covered, parameters["colour"][:, None, None, :], images)
