"""What an augmentation is: drawing and applying, apart.

Drawing is NumPy on a whole epoch at once: row i of the uniform numbers depends on (seed, epoch, i) and on
nothing else, so neither the batch size, nor the order, nor the number of workers can change what happens to
picture i in epoch e. Applying is TensorFlow on a batch and contains no randomness at all.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from flowersweep.fields import bounded

if TYPE_CHECKING:  # TensorFlow takes seconds to import; composing a configuration must not pay for it
    import tensorflow as tf

Uniforms = npt.NDArray[np.float64]
Parameters = dict[str, npt.NDArray[np.float32]]


@dataclass
class Augmentation:
    """Base of all augmentations; a subclass's dataclass fields are its configuration.

    Attributes:
        name: The name under which it is chosen (`aug=NAME`), equal to the class name but for `none` and `stack`.
        seed: Seeds the draws together with epoch and picture index. A constant by default, so that trials of
            one sweep see the same draws; `aug.seed=${seed}` varies it with the run.
    """

    n_uniforms: ClassVar[int] = 0  # how many uniform numbers in [0, 1) one picture needs

    name: str = "none"
    seed: int = bounded(0, low=0)

    def source_size(self, image_size: int) -> int:
        """Side length in pixels of the pictures `apply` wants, for an output of `image_size` pixels."""
        return image_size

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Turn uniform numbers, shape (n, n_uniforms), into named arrays of shape (n, ...), one row a picture."""
        return {}

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Transform a batch as the parameters say.

        Args:
            images: float32, shape (batch, source_size, source_size, 3), values 0..255.
            parameters: Rows of what `parameters` returned, as tensors of shape (batch, ...).
            image_size: Side length in pixels of the result.

        Returns:
            float32, shape (batch, image_size, image_size, 3), values 0..255.
        """
        return images
