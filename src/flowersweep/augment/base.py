"""What an augmentation is: drawing and applying, apart.

Drawing is NumPy on a whole epoch at once: row i of the uniform numbers depends on (seed, epoch, i) and on
nothing else, so neither the batch size, nor the order, nor the number of workers can change what happens to
picture i in epoch e. Applying is TensorFlow on a batch and contains no randomness at all.

Augmentations belong to training. Validation and test pictures have no draw and never meet `apply`: they are
the whole picture at `image_size`, also where training crops windows out of larger ones.
"""

# ruff: noqa: ARG002
# Every augmentation has the same two methods, whether or not it needs all they are given.

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from flowersweep.fields import bounded

if TYPE_CHECKING:  # TensorFlow takes seconds to import; composing a configuration must not pay for it
    import tensorflow as tf

Uniforms = npt.NDArray[np.float64]
Array = npt.NDArray[np.float32]
Parameters = dict[str, Array]


@dataclass
class Augmentation:
    """Base of all augmentations; a subclass's dataclass fields are its configuration.

    Attributes:
        name: The name under which it is chosen (`aug=NAME`), equal to the class name but for `none` and `stack`.
        seed: Seeds the draws together with epoch and picture index. A constant by default, so that trials of
            one sweep see the same draws; `aug.seed=${seed}` varies it with the run.
        cycle: Epochs after which the draws begin again with the first; None for new ones in every epoch. Behind a
            frozen prefix each draw is computed once, so that a small number makes the first trial nearly as fast as
            the following ones, at the price of fewer different pictures.

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

    draws: ClassVar[tuple[str, ...]] = ()  # what each column of the uniform numbers decides
    takes_bytes: ClassVar[bool] = False  # whether `apply` also takes uint8, and then returns uint8
    n_outcomes: ClassVar[int] = 0  # how many things can become of a picture; 0: there is no end to them

    name: str = "none"
    seed: int = bounded(0, low=0)
    cycle: int | None = bounded(None, low=1)

    def draw_of(self, epoch: int) -> int:
        """The number of the draw that an epoch, counted from 0, uses."""
        return epoch if self.cycle is None else epoch % self.cycle

    @property
    def n_uniforms(self) -> int:
        """How many uniform numbers in [0, 1) one picture needs."""
        return len(self.draws)

    def problems(self) -> list[str]:
        """What is wrong with the fields taken together, one sentence each; empty if nothing is.

        The range of a single field is its own rule's business (`flowersweep.fields`).
        """
        return []

    def source_size(self, image_size: int) -> int:
        """Side length in pixels of the pictures `apply` wants, for an output of `image_size` pixels."""
        return image_size

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Turn uniform numbers, shape (n, n_uniforms), into named arrays of shape (n, ...), one row a picture."""
        return {}

    def outcomes(self, parameters: Parameters) -> npt.NDArray[np.int64]:
        """Which of the `n_outcomes` each picture gets, shape (n,); outcome 0 leaves it as it is."""
        raise NotImplementedError

    def outcome(self, number: int) -> Parameters:
        """The parameters, one row, that give a picture an outcome."""
        raise NotImplementedError

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Transform a batch as the parameters say.

        The result for one picture is the same bit for bit whatever the other pictures of the batch are. So
        an implementation takes sines, powers and matrices in `parameters`, and sums pixels as integers.

        Args:
            images: float32, shape (batch, source_size, source_size, 3), values 0..255.
            parameters: Rows of what `parameters` returned, as tensors of shape (batch, ...).
            image_size: Side length in pixels of the result.

        Returns:
            float32, shape (batch, image_size, image_size, 3), values 0..255.
        """
        return images


@dataclass
class NoAugmentation(Augmentation):
    """Leave every picture as it is: the article's baseline, its step 1."""


def symmetric(uniforms: Uniforms, reach: float) -> Uniforms:
    """Map uniform numbers from [0, 1) to [-reach, reach), whatever their shape."""
    return (2.0 * uniforms - 1.0) * reach


def per_picture(values: "tf.Tensor") -> "tf.Tensor":
    """Give one number a picture, shape (batch,), the shape (batch, 1, 1, 1) that broadcasts over pixels."""
    return values[:, None, None, None]


def clip(images: "tf.Tensor") -> "tf.Tensor":
    """Clip values to the legal range 0..255."""
    import tensorflow as tf

    return tf.clip_by_value(images, 0.0, 255.0)
