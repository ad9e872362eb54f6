"""Cropping."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flowersweep.augment.base import Augmentation, Parameters, Uniforms
from flowersweep.fields import bounded

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass
class RandomCrop(Augmentation):
    """Cut a window of the image size out of a larger picture, at a separate random position for each picture.

    The published study's RandomCrop(180, 180) was applied to pictures of 180 pixels and so did nothing; Keras 3.15
    cuts the same window out of all pictures of a batch. Here training pictures are decoded `scale` times as large. Validation
    and test pictures are not cropped: they are the complete picture at the image size.

    Attributes:
        scale: Side length of the source pictures relative to the image size; 1.125 gives 202 pixels for 180. They are at least
            one pixel larger.
    """

    draws: ClassVar[tuple[str, ...]] = ("top", "left")

    name: str = "RandomCrop"
    scale: float = bounded(1.125, above=1.0, high=2.0)

    def source_size(self, image_size: int) -> int:
        """Side length in pixels of the pictures to cut from, at least one more than the image size."""
        return max(round(image_size * self.scale), image_size + 1)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `corner`, shape (n, 2): top and left of the window as fractions 0..1 of the available range."""
        return {"corner": uniforms.astype(np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Cut the windows; all positions are equally likely and pixels keep their exact values."""
        import tensorflow as tf

        room = images.shape[1] - image_size
        first = tf.cast(parameters["corner"] * (room + 1.0), tf.int32)
        first = tf.minimum(first, room)[:, :, None]  # a draw close to 1 rounds up to 1 in float32
        rows, columns = (first[:, axis] + tf.range(image_size) for axis in (0, 1))
        return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)
