"""The input of the prefix in an epoch: pictures that are decoded and augmented, in the part's own order."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from flowersweep.augment import Augmentation, drawn
from flowersweep.augment.base import NoAugmentation, Parameters
from flowersweep.data.stream import Part

CHUNK = 32  # pictures: 12 MB at 180 x 180

Floats = npt.NDArray[np.float32]


class DrawnPictures:
    """The same draws as `data.stream.training_stream`, but in the order of `part.indices`.

    Args:
        part: The pictures.
        augmentation: None to leave them unchanged.
        image_size: Side length of the resulting pictures in pixels.
        outcome: Give all pictures this outcome of the augmentation instead of the drawn one.
    """

    def __init__(
        self, part: Part, augmentation: Augmentation | None, image_size: int, *, outcome: int | None = None
    ) -> None:
        self._part = part
        self._outcome = outcome
        self._augmentation = None if isinstance(augmentation, NoAugmentation) else augmentation
        self._image_size = image_size
        self._apply: Any = None

    def epoch(self, number: int) -> Generator[Floats]:
        """All pictures with the draws of an epoch, `CHUNK` at a time.

        Each chunk is computed in a thread while the previous one is used.

        Yields:
            float32, shape (k, image_size, image_size, 3), 0..255.
        """
        chunks = self._chunks(number)
        with ThreadPoolExecutor(1) as thread:
            following = thread.submit(next, chunks, None)
            while (chunk := following.result()) is not None:
                following = thread.submit(next, chunks, None)
                yield chunk

    def _chunks(self, number: int) -> Generator[Floats]:
        part, augmentation = self._part, self._augmentation
        parameters = self._parameters(number)
        for start in range(0, len(part.indices), CHUNK):
            rows = part.indices[start : start + CHUNK]
            pictures: npt.NDArray[Any] = part.images[rows]
            if augmentation is not None:
                columns = {name: values[rows] for name, values in parameters.items()}
                pictures = self._augmented(augmentation, pictures, columns)
                if augmentation.mixes:
                    others = part.indices[augmentation.others(columns, len(part.indices))]
                    theirs = {name: values[others] for name, values in parameters.items()}
                    mixed_in = self._augmented(augmentation, part.images[others], theirs)
                    pictures = self._mixed(augmentation, pictures, mixed_in, columns)
            yield pictures.astype(np.float32, copy=False)

    def outcomes(self, number: int) -> npt.NDArray[np.int64]:
        """The outcome that each picture gets in an epoch, shape (m,), for an augmentation that has outcomes."""
        assert self._augmentation is not None  # noqa: S101 - without augmentation there are no outcomes
        return self._augmentation.outcomes(self._parameters(number))[self._part.indices]

    def _parameters(self, number: int) -> Parameters:
        augmentation, count = self._augmentation, len(self._part.images)
        if augmentation is None:
            return {}
        if self._outcome is not None:
            row = augmentation.outcome(self._outcome)
            return {name: np.repeat(values, count, axis=0) for name, values in row.items()}
        return drawn(augmentation, number, count)

    def _mixed(
        self,
        augmentation: Augmentation,
        pictures: Floats,
        others: Floats,
        columns: dict[str, npt.NDArray[Any]],
    ) -> Floats:
        import tensorflow as tf

        with tf.device("CPU:0"):
            drawn = {name: tf.constant(values) for name, values in columns.items()}
            images, theirs = tf.constant(pictures), tf.constant(others)
            mixed: Floats = augmentation.mix(images, theirs, drawn, self._image_size).numpy()
        return mixed

    def _augmented(
        self,
        augmentation: Augmentation,
        pictures: npt.NDArray[np.uint8],
        columns: dict[str, npt.NDArray[Any]],
    ) -> npt.NDArray[Any]:
        import tensorflow as tf

        given = pictures if augmentation.takes_bytes else pictures.astype(np.float32)
        if self._apply is None:  # traced once for all draws
            signature = [
                tf.TensorSpec((None, *given.shape[1:]), given.dtype),
                {
                    name: tf.TensorSpec((None, *values.shape[1:]), values.dtype)
                    for name, values in columns.items()
                },
            ]
            self._apply = tf.function(
                lambda images, drawn: augmentation.apply(images, drawn, self._image_size),
                autograph=False,
                input_signature=signature,
            )
        with tf.device("CPU:0"):  # where the stream augments: a GPU's geometry differs in the last bits
            augmented: npt.NDArray[Any] = self._apply(given, columns).numpy()
        return augmented
