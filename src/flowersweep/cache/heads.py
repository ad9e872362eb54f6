"""Files of heads: the arrays of a trained last layer and the history of its training."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowersweep.cache.atomic import new_file
from flowersweep.cache.kinds import HEADS


@dataclass(frozen=True)
class Head:
    """A trained last layer.

    Attributes:
        weights: Kernel (features, num_classes) and bias (num_classes,), float32.
        epochs: The metrics of each epoch of its training.
        reused: Whether it came from the cache.
    """

    weights: list[npt.NDArray[np.float32]]
    epochs: list[dict[str, float]]
    reused: bool


def head_path(cache: Path, key: str) -> Path:
    """The path of a head."""
    return HEADS.path(cache, key)


def read_head(path: Path, num_classes: int) -> Head | None:
    """The head in a file, or None if the file is damaged or contains something else."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            kernel, bias = stored["kernel"], stored["bias"]
            epochs = json.loads(str(stored["epochs"]))
    except MemoryError:
        raise  # does not mean that the file is damaged
    except Exception:  # noqa: BLE001 (NumPy's and zipfile's readers raise almost anything on damaged content)
        return None
    shapes_fit = kernel.ndim == 2 and kernel.shape[1] == num_classes and bias.shape == (num_classes,)
    are_numbers = (
        kernel.dtype == bias.dtype == np.float32 and np.isfinite(kernel).all() and np.isfinite(bias).all()
    )
    are_epochs = isinstance(epochs, list) and all(isinstance(values, dict) for values in epochs)
    return Head([kernel, bias], epochs, reused=True) if shapes_fit and are_numbers and are_epochs else None


def write_head(path: Path, head: Head) -> None:
    """Write a head; the file appears when it is complete. Must be used inside `locked(path)`.

    Raises:
        DataError: The disk is full or cannot be written to.
    """
    with new_file(path) as part, part.open("wb") as file:
        np.savez(file, kernel=head.weights[0], bias=head.weights[1], epochs=json.dumps(head.epochs))
