"""Batches of stored features for TensorFlow, in the same order as `data.stream`."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep.data.stream import EVALUATION_BATCH_SIZE, Part, epoch_order, steps_per_epoch
from flowersweep.models.bank import FeatureBank

if TYPE_CHECKING:
    import tensorflow as tf

_PREFETCHED = 4  # batches


def feature_stream(
    bank: FeatureBank,
    *,
    batch_size: int,
    seed: int,
    epochs: int,
    first: int = 0,
    n_classes: int | None = None,
) -> "tf.data.Dataset":
    """All training batches: as `training_stream`, but after the prefix.

    The draw of an epoch is opened when its first batch is needed. An error in it reaches the caller as a
    TensorFlow error; `cache.rows.own_errors` raises the original one.

    Args:
        bank: The features of the training pictures.
        batch_size: Pictures per batch; the last batch of an epoch may be smaller.
        seed: Determines the order of the pictures.
        epochs: Number of epochs.
        first: The first of them to return, from 0.
        n_classes: The number of classes; required with `has_soft_labels`.

    Returns:
        A dataset of (features float32 (batch, *feature_shape), labels as from `epoch_labels`).
    """
    import tensorflow as tf

    as_it_is = tf.autograph.experimental.do_not_convert
    count = len(bank.part.indices)
    dtype = tf.as_dtype(bank.key.dtype)

    def plan(epoch: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
        order = epoch_order(seed, int(epoch), count)
        return [np.full(count, epoch), order, bank.labels(int(epoch), n_classes)[order]]

    def gather(epochs_of: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        try:
            return bank.draw(int(epochs_of[0]))[rows]
        except Exception as error:
            bank.failure = error
            raise

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        kind, shape = (tf.float32, (n_classes,)) if bank.has_soft_labels else (tf.int32, ())
        columns = tf.numpy_function(plan, [epoch], [tf.int64, tf.int64, kind], stateful=False)
        for column, inner in zip(columns, ((), (), shape), strict=True):
            column.set_shape((count, *inner))
        return tf.data.Dataset.from_tensor_slices(tuple(columns)).batch(batch_size)

    def load(epochs_of: tf.Tensor, rows: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.numpy_function(gather, [epochs_of, rows], dtype, stateful=False)
        features.set_shape((None, *bank.feature_shape))
        return tf.cast(features, tf.float32), labels

    steps = steps_per_epoch(count, batch_size) * (epochs - first)
    return (
        tf.data.Dataset.range(first, epochs)
        .flat_map(as_it_is(epoch_batches))
        .map(as_it_is(load), num_parallel_calls=2, deterministic=True)
        .apply(tf.data.experimental.assert_cardinality(steps))
        .prefetch(_PREFETCHED)
    )


def evaluation_features(
    bank: FeatureBank, part: Part, *, batch_size: int = EVALUATION_BATCH_SIZE
) -> "tf.data.Dataset":
    """One pass over the features of a part in its own order, without augmentation; computes them now if necessary.

    Returns:
        A dataset of (features float32 (batch, *feature_shape), labels int32 (batch,)).
    """
    import tensorflow as tf

    as_it_is = tf.autograph.experimental.do_not_convert
    features = bank.evaluation(part)

    def gather(rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        try:
            return features[rows]
        except Exception as error:
            bank.failure = error
            raise

    def load(rows: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picked = tf.numpy_function(gather, [rows], features.dtype, stateful=False)
        picked.set_shape((None, *bank.feature_shape))
        return tf.cast(picked, tf.float32), labels

    rows = np.arange(len(part.indices))
    dataset = tf.data.Dataset.from_tensor_slices((rows, part.labels)).batch(batch_size)
    return dataset.map(as_it_is(load), num_parallel_calls=2, deterministic=True).prefetch(_PREFETCHED)
