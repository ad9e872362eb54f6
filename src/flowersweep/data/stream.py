"""Batches of pictures for TensorFlow: reshuffled each epoch, augmented per picture, prefetched.

Epoch e is a pure function of (seed, e): the order comes from a generator seeded with both, and the
augmentation of a picture from (augmentation seed, e, index of the picture).
"""

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from flowersweep.augment import Augmentation, drawn
from flowersweep.augment.base import Parameters
from flowersweep.augment.mixing import mixed_labels
from flowersweep.cache.rows import Rows
from flowersweep.hardware import has_gpu

if TYPE_CHECKING:
    import tensorflow as tf

EVALUATION_BATCH_SIZE = 128


Images = Rows | npt.NDArray[np.uint8]


class Part(Protocol):
    """One part of the data: indices of decoded pictures, and their classes."""

    @property
    def images(self) -> Images:
        """uint8, shape (n, size, size, 3)."""

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """int64, shape (m,), into `images`."""

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        """int32, shape (m,)."""


class TrainingPart(Part, Protocol):
    """A part that is trained on."""

    @property
    def targets(self) -> npt.NDArray[np.float32] | None:
        """float32, shape (m, n_classes), rows that sum to 1: what is learned instead of `labels`; None: these."""


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Number of batches in an epoch; the last one may be smaller."""
    return math.ceil(count / batch_size)


def epoch_order(seed: int, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """The order of `count` pictures in an epoch: a permutation that depends only on seed and epoch."""
    # A sequence seeds the generator; the constant separates this stream from the augmentation's draws.
    return np.random.default_rng([seed, epoch, 0x0DDE]).permutation(count)


def has_soft_labels(part: TrainingPart, augmentation: Augmentation) -> bool:
    """Whether the training labels are shares of the classes instead of class numbers."""
    return augmentation.mixes or part.targets is not None


def epoch_labels(
    part: TrainingPart, augmentation: Augmentation, epoch: int, *, image_size: int, n_classes: int | None
) -> npt.NDArray[Any]:
    """The labels of a part in an epoch, in the part's own order.

    Args:
        part: The training pictures.
        augmentation: Applied to them.
        epoch: From 0.
        image_size: Side length of the resulting pictures in pixels.
        n_classes: The number of classes; required if the augmentation mixes pictures.

    Returns:
        Class numbers, int32 (m,), or, with `has_soft_labels`, shares of the classes, float32 (m, n_classes).
    """
    if not augmentation.mixes:
        return part.labels if part.targets is None else part.targets
    assert n_classes is not None  # noqa: S101 (see above)
    parameters = _rows(drawn(augmentation, epoch, len(part.images)), part.indices)
    others = augmentation.others(parameters, len(part.indices))
    shares = augmentation.shares(parameters, image_size)
    if part.targets is None:
        return mixed_labels(part.labels, part.labels[others], shares, n_classes)
    return part.targets * shares[:, None] + part.targets[others] * (1.0 - shares[:, None])


def training_stream(
    part: TrainingPart,
    augmentation: Augmentation,
    *,
    image_size: int,
    batch_size: int,
    seed: int,
    epochs: int,
    first: int = 0,
    n_classes: int | None = None,
) -> "tf.data.Dataset":
    """All training batches, one epoch after the other.

    Args:
        part: The training pictures.
        augmentation: Applied to each picture with separate draws in every epoch.
        image_size: Side length of the resulting pictures in pixels.
        batch_size: Pictures per batch; the last batch of an epoch may be smaller.
        seed: Determines the order of the pictures.
        epochs: Number of epochs.
        first: The first of them to return, from 0.
        n_classes: The number of classes; required with `has_soft_labels`.

    Returns:
        A dataset of (images float32 (batch, image_size, image_size, 3) in 0..255, labels as from `epoch_labels`).
    """
    import tensorflow as tf

    names, template = _parameter_template(augmentation)
    count = len(part.indices)

    def plan(epoch: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
        order = epoch_order(seed, int(epoch), count)
        parameters = drawn(augmentation, int(epoch), len(part.images))
        rows = part.indices[order]
        labels = epoch_labels(part, augmentation, int(epoch), image_size=image_size, n_classes=n_classes)
        columns = [labels[order], rows, *(parameters[name][rows] for name in names)]
        if augmentation.mixes:
            others = part.indices[augmentation.others(_rows(parameters, rows), count)]
            columns += [others, *(parameters[name][others] for name in names)]
        return columns

    @tf.autograph.experimental.do_not_convert
    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        given = [(tf.int64, ()), *((tf.as_dtype(array.dtype), array.shape[1:]) for array in template)]
        label = (tf.float32, (n_classes,)) if has_soft_labels(part, augmentation) else (tf.int32, ())
        types = [label, *given * (1 + augmentation.mixes)]
        columns = tf.numpy_function(plan, [epoch], [kind for kind, _ in types], stateful=False)
        for column, (_, shape) in zip(columns, types, strict=True):
            column.set_shape((count, *shape))
        return tf.data.Dataset.from_tensor_slices(tuple(columns)).batch(batch_size)

    def augmented(rows: tf.Tensor, parameters: dict[str, tf.Tensor]) -> tf.Tensor:
        images = _gather(part.images, rows)
        if not augmentation.takes_bytes:
            images = tf.cast(images, tf.float32)
        return tf.cast(augmentation.apply(images, parameters, image_size), tf.float32)

    @tf.autograph.experimental.do_not_convert
    def load(labels: tf.Tensor, *columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows, *values = columns[: 1 + len(names)]
        parameters = dict(zip(names, values, strict=True))
        images = augmented(rows, parameters)
        if augmentation.mixes:
            rows, *values = columns[1 + len(names) :]
            others = augmented(rows, dict(zip(names, values, strict=True)))
            images = augmentation.mix(images, others, parameters, image_size)
        return tf.ensure_shape(images, (None, image_size, image_size, 3)), labels

    steps = steps_per_epoch(count, batch_size) * (epochs - first)
    return (
        tf.data.Dataset.range(first, epochs)
        .flat_map(epoch_batches)
        .map(load, num_parallel_calls=_parallel_calls(), deterministic=True)
        .apply(tf.data.experimental.assert_cardinality(steps))
        .prefetch(2)
    )


def _parallel_calls() -> int:
    """Batches that are augmented at the same time: a GPU leaves the processors to that, a CPU trains on them."""
    import tensorflow as tf

    return int(tf.data.AUTOTUNE) if has_gpu() else 2


def evaluation_stream(part: Part, *, batch_size: int = EVALUATION_BATCH_SIZE) -> "tf.data.Dataset":
    """One pass over a part in its own order, without augmentation.

    Returns:
        A dataset of (images float32 (batch, size, size, 3) in 0..255, labels int32 (batch,)).
    """
    import tensorflow as tf

    @tf.autograph.experimental.do_not_convert
    def load(rows: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(_gather(part.images, rows), tf.float32), labels

    dataset = tf.data.Dataset.from_tensor_slices((part.indices, part.labels)).batch(batch_size)
    return dataset.map(load, num_parallel_calls=2, deterministic=True).prefetch(2)


def _parameter_template(augmentation: Augmentation) -> tuple[list[str], list[npt.NDArray[Any]]]:
    """Names and one-row example arrays of the augmentation's parameters."""
    parameters = drawn(augmentation, 0, 1)
    names = sorted(parameters)
    return names, [parameters[name] for name in names]


def _rows(parameters: Parameters, rows: npt.NDArray[np.int64]) -> Parameters:
    return {name: values[rows] for name, values in parameters.items()}


def _gather(images: Images, rows: "tf.Tensor") -> "tf.Tensor":
    """Read rows of the pictures, uint8."""
    import tensorflow as tf

    picked = tf.numpy_function(lambda index: images[index], [rows], tf.uint8, stateful=False)
    picked.set_shape((rows.shape[0], *images.shape[1:]))
    return picked
