"""The base class of augmentations, with separate methods for drawing and applying.

Drawing uses NumPy on a complete epoch at once: row i of the uniform numbers depends only on (seed, epoch, i), so
neither the batch size, nor the order, nor the number of workers can change the augmentation of picture i in epoch e.
Applying uses TensorFlow on a batch and contains no randomness.

Augmentations are used only in training. Validation and test pictures have no draws and are never passed to `apply`:
they are the complete picture at `image_size`, even if training crops windows out of larger ones.
"""

# ruff: noqa: ARG002
# Every augmentation has the same two methods, even if it does not need all their arguments.

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from flowersweep.fields import bounded
from flowersweep.own.code import Code

if TYPE_CHECKING:  # TensorFlow takes seconds to import; composing a configuration must not import it
    import tensorflow as tf

Uniforms = npt.NDArray[np.float64]
Array = npt.NDArray[np.float32]
Parameters = dict[str, Array]


@dataclass
class Augmentation:
    """Base of all augmentations; a subclass's dataclass fields are its configuration.

    Attributes:
        name: The name by which it is chosen (`aug=NAME`), equal to the class name except for `none` and `stack`.
        seed: Seeds the draws together with epoch and picture index. A constant by default, so that trials of
            a sweep have the same draws; `aug.seed=${seed}` varies it with the run.
        cycle: Epochs after which the draws repeat; None for new ones in every epoch. After a frozen prefix each draw is
            computed once, so a small number makes the first trial nearly as fast as the following ones, at the cost
            of fewer different pictures.

    Example:
        A subclass draws in `parameters` and applies in `apply`; docs/howto/add_an_augmentation.md registers it.

        >>> @dataclass
        ... class RandomDarkness(Augmentation):
        ...     draws: ClassVar[tuple[str, ...]] = ("darkness",)
        ...     name: str = "RandomDarkness"
        ...     factor: float = bounded(0.5, low=0.0, high=1.0)
        ...
        ...     def parameters(self, uniforms):
        ...         return {"scale": (1 - self.factor * uniforms[:, 0]).astype(np.float32)}
        ...
        ...     def apply(self, images, parameters, image_size):
        ...         return images * per_picture(parameters["scale"])
        >>> darkness = RandomDarkness(factor=0.2)
        >>> darkness.parameters(np.array([[0.0], [0.5]]))
        {'scale': array([1. , 0.9], dtype=float32)}
    """

    draws: ClassVar[tuple[str, ...]] = ()  # what each column of the uniform numbers determines
    takes_bytes: ClassVar[bool] = False  # whether `apply` also takes uint8, and then returns uint8
    n_outcomes: ClassVar[int] = 0  # number of possible outcomes for a picture; 0: unlimited

    name: str = "none"
    seed: int = bounded(0, low=0)
    cycle: int | None = bounded(None, low=1)

    def draw_of(self, epoch: int) -> int:
        """The number of the draw that an epoch, counted from 0, uses."""
        return epoch if self.cycle is None else epoch % self.cycle

    @property
    def mixes(self) -> bool:
        """Whether pictures are also mixed with other training pictures, by `mix`, and their labels with it."""
        return False

    @property
    def n_uniforms(self) -> int:
        """Number of uniform numbers in [0, 1) per picture."""
        return len(self.draws)

    def problems(self) -> list[str]:
        """Conflicts between the fields, one message each; empty if there are none.

        The range of a single field is checked by its rule (`flowersweep.fields`).
        """
        return []

    def own_code(self) -> list[Code]:
        """The code of the user's own that it runs."""
        return []

    def source_size(self, image_size: int) -> int:
        """Side length in pixels of the pictures that `apply` expects, for an output of `image_size` pixels."""
        return image_size

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Convert uniform numbers, shape (n, n_uniforms), to named arrays of shape (n, ...), one row per picture."""
        return {}

    def outcomes(self, parameters: Parameters) -> npt.NDArray[np.int64]:
        """Which of the `n_outcomes` each picture gets, shape (n,); outcome 0 leaves it unchanged."""
        raise NotImplementedError

    def outcome(self, number: int) -> Parameters:
        """The parameters, one row, of an outcome."""
        raise NotImplementedError

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Transform a batch according to the parameters.

        The result for a picture is bit-identical whatever the other pictures of the batch are. Therefore an
        implementation computes sines, powers and matrices in `parameters`, and sums pixels as integers.

        Args:
            images: float32, shape (batch, source_size, source_size, 3), values 0..255.
            parameters: Rows of the result of `parameters`, as tensors of shape (batch, ...).
            image_size: Side length in pixels of the result.

        Returns:
            float32, shape (batch, image_size, image_size, 3), values 0..255.
        """
        return images

    def others(self, parameters: Parameters, count: int) -> npt.NDArray[np.int64]:
        """Which of `count` training pictures is mixed into each picture, shape (n,), if `mixes`."""
        raise NotImplementedError

    def shares(self, parameters: Parameters, image_size: int) -> Array:
        """The share of each picture itself in the mixed picture and its label, shape (n,), if `mixes`."""
        raise NotImplementedError

    def mix(
        self,
        images: "tf.Tensor",
        others: "tf.Tensor",
        parameters: "dict[str, tf.Tensor]",
        image_size: int,
    ) -> "tf.Tensor":
        """Mix pictures with others, if `mixes`; both are results of `apply`, the parameters are those of the former."""
        raise NotImplementedError


@dataclass
class NoAugmentation(Augmentation):
    """Leave every picture unchanged: the published study's baseline, its step 1."""


def symmetric(uniforms: Uniforms, reach: float) -> Uniforms:
    """Map uniform numbers of any shape from [0, 1) to [-reach, reach)."""
    return (2.0 * uniforms - 1.0) * reach


def per_picture(values: "tf.Tensor") -> "tf.Tensor":
    """Reshape one number per picture, shape (batch,), to (batch, 1, 1, 1), which broadcasts over pixels."""
    return values[:, None, None, None]


def clip(images: "tf.Tensor") -> "tf.Tensor":
    """Clip values to the legal range 0..255."""
    import tensorflow as tf

    return tf.clip_by_value(images, 0.0, 255.0)
