"""The preview of an augmentation: each picture next to its first few draws."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from flowersweep.augment.base import Augmentation
from flowersweep.augment.draw import drawn

Pixels = npt.NDArray[np.uint8]

_GAP = 4  # pixels between pictures
_HEADER = 18  # pixels above the first row, for its labels


def preview(
    augmentation: Augmentation,
    images: Pixels,
    image_size: int,
    epochs: int = 6,
    *,
    indices: npt.NDArray[np.int64] | None = None,
) -> Image.Image:
    """Draw the pictures as used in training; those that are mixed in are others of the drawn ones.

    Args:
        augmentation: The augmentation to show.
        images: uint8, shape (n, source, source, 3), source being `augmentation.source_size(image_size)`.
        image_size: Side length in pixels of an augmented picture.
        epochs: Columns after the original.
        indices: int64, shape (n,): index of each picture in its data set, which determines its draws; the first
            n by default.

    Returns:
        An RGB grid: a row for each picture, the original (scaled to `image_size`) and the draws of epochs 0, 1, ...
    """
    rows = np.arange(len(images)) if indices is None else indices
    columns = [_resized(images, image_size)]
    columns += [_augmented(augmentation, images, rows, image_size, epoch) for epoch in range(epochs)]
    pitch = image_size + _GAP
    grid = Image.new("RGB", (len(columns) * pitch - _GAP, _HEADER + len(images) * pitch - _GAP), "white")
    pen = ImageDraw.Draw(grid)
    for x, column in enumerate(columns):
        pen.text((x * pitch + 2, 3), f"{augmentation.name}, epoch {x - 1}" if x else "original", fill="black")
        for y, pixels in enumerate(column):
            grid.paste(Image.fromarray(pixels), (x * pitch, _HEADER + y * pitch))
    return grid


def _augmented(
    augmentation: Augmentation, images: Pixels, rows: npt.NDArray[np.int64], image_size: int, epoch: int
) -> Pixels:
    """Apply the draws of one epoch and round to uint8."""
    import tensorflow as tf

    parameters = drawn(augmentation, epoch, int(rows.max()) + 1)
    tensors = {key: tf.constant(values[rows]) for key, values in parameters.items()}
    result = augmentation.apply(tf.constant(images, tf.float32), tensors, image_size)
    if augmentation.mixes:
        shown = {key: values[rows] for key, values in parameters.items()}
        others = tf.gather(result, augmentation.others(shown, len(images)))
        result = augmentation.mix(result, others, tensors, image_size)
    return np.asarray(np.rint(result), dtype=np.uint8)


def _resized(images: Pixels, image_size: int) -> Pixels:
    """Scale the pictures to `image_size` for the column of originals."""
    size = (image_size, image_size)
    return np.stack([np.asarray(Image.fromarray(picture).resize(size)) for picture in images])
