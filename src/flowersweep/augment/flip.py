"""Mirroring."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from flowersweep.augment.base import Augmentation, Parameters, Uniforms
from flowersweep.fields import bounded, one_of

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass
class RandomFlip(Augmentation):
    """Mirror left-right and upside down, independently with probability 1/2 per picture (the published study's meaning).

    Keras 3.15 makes one random decision for both axes, so its pictures are rotated by 180 degrees or unchanged.

    Attributes:
        mode: Which axes may be mirrored: "horizontal" is left-right, "vertical" upside down.
    """

    draws: ClassVar[tuple[str, ...]] = ("horizontal", "vertical")
    takes_bytes: ClassVar[bool] = True
    n_outcomes: ClassVar[int] = 4

    name: str = "RandomFlip"
    mode: str = one_of("horizontal", "vertical", "horizontal_and_vertical", default="horizontal_and_vertical")

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `flipped`, shape (n, 2): 1 if the picture is mirrored left-right, upside down."""
        allowed = np.array([self.mode != "vertical", self.mode != "horizontal"])
        return {"flipped": ((uniforms[:, :2] < 0.5) & allowed).astype(np.float32)}

    def outcomes(self, parameters: Parameters) -> npt.NDArray[np.int64]:
        """1 for left-right, 2 for upside down, 3 for both."""
        bits: npt.NDArray[np.int64] = parameters["flipped"].astype(np.int64)
        return bits[:, 0] + 2 * bits[:, 1]

    def outcome(self, number: int) -> Parameters:
        """The bits of the number, as `flipped`."""
        return {"flipped": np.array([[number & 1, number >> 1]], np.float32)}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Reverse rows and columns according to `flipped`; pixels keep their exact values and their dtype."""
        import tensorflow as tf

        count, size = tf.shape(images)[0], image_size
        flipped = parameters["flipped"] > 0.5
        # Each row of pixels is copied as a block, from the pictures or their mirror images: 4 times as fast for bytes as
        # gathering single pixels.
        mirrored = tf.reverse(tf.reshape(images, [-1, size, 3]), [1])
        rows = tf.concat([tf.reshape(images, [-1, size * 3]), tf.reshape(mirrored, [-1, size * 3])], axis=0)
        first = (tf.range(count) + tf.where(flipped[:, 0], count, 0)) * size
        down = tf.range(size)
        order = first[:, None] + tf.where(flipped[:, 1, None], down[::-1], down)
        return tf.reshape(tf.gather(rows, order), [-1, size, size, 3])


@dataclass
class RandomFlip_prob(RandomFlip):  # noqa: N801 - the published study's spelling is the name in the configuration
    """`RandomFlip` that leaves a picture unchanged with probability 1 - p (a custom layer in the published study).

    Attributes:
        p: Probability that `RandomFlip` is applied to the picture.
    """

    draws: ClassVar[tuple[str, ...]] = (*RandomFlip.draws, "touched")

    name: str = "RandomFlip_prob"
    p: float = bounded(0.5, low=0.0, high=1.0)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return `flipped` as `RandomFlip` does, with zeros for unchanged pictures."""
        touched = uniforms[:, -1:] < self.p
        return {"flipped": super().parameters(uniforms)["flipped"] * touched.astype(np.float32)}
