"""Probabilities of a combined model for pictures on disk, decoded as for training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flowersweep.deploy.images import batches
from flowersweep.deploy.model_info import ModelInfo
from flowersweep.ensemble.selection import Probabilities
from flowersweep.errors import DataError
from flowersweep.models.engine import Floats
from flowersweep.progress import progress

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 64

Apply = Callable[[Floats], Floats]


def engine_of(model: "keras.Model") -> Apply:
    """A model as a function from pictures to probabilities; it follows later changes of the model's weights."""
    from flowersweep.models.engine import TensorFlowEngine

    return TensorFlowEngine(model, BATCH_SIZE).run


def predict(apply: Apply, paths: Sequence[Path], info: ModelInfo, about: str) -> Probabilities:
    """The probabilities of pictures.

    Args:
        apply: From `engine_of`.
        paths: The pictures.
        info: The model's inputs.
        about: Shown before the progress bar.

    Returns:
        float64, shape (len(paths), number of classes).

    Raises:
        DataError: A picture cannot be read.
    """
    rows = []
    with progress(about, len(paths)) as advance:
        for batch in batches(paths, info.size, BATCH_SIZE, info.resizing):
            if batch.unreadable:
                raise DataError(batch.unreadable[0])
            rows.append(apply(batch.images.astype(np.float32)))
            advance(len(batch))
    return np.concatenate(rows).astype(np.float64)
