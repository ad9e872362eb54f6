"""The split into training, validation and test pictures: exactly that of Keras."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowersweep.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of pictures in a catalogue, each picture in exactly one part, in Keras' shuffled order.

    Attributes:
        train: int64, shape (num_train,).
        validation: int64, shape (num_validation,).
        test: int64, shape (num_test,); empty unless a test set was requested.
    """

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


def split(n: int, *, seed: int, validation: float, test: float = 0.0) -> Split:
    """Split `n` pictures as `keras.utils.image_dataset_from_directory(validation_split=..., seed=...)` does.

    The test part is taken from the training part only, so the validation pictures are the same for every `test`.

    Args:
        n: Number of pictures.
        seed: Seeds the shuffle, 0..2**32-1.
        validation: Fraction of all pictures for validation, above 0 and below 1; the count is rounded down.
        test: Fraction of all pictures for the test, at least 0 and below 1; the count is rounded down.

    Raises:
        ConfigError: A number is out of range, or a requested part would be empty.
    """
    if not 0 <= seed < 2**32:
        raise ConfigError(f"The seed of the split must be in 0..2**32-1, but is {seed}.")
    if not (0 < validation < 1 and 0 <= test < 1):
        raise ConfigError(
            "The fractions of the split must satisfy 0 < validation < 1 and 0 <= test < 1, "
            f"but are validation={validation}, test={test}."
        )
    num_validation, num_test = int(validation * n), int(test * n)
    num_train = n - num_validation - num_test
    if num_train < 1 or num_validation < 1 or (test and num_test < 1):
        raise ConfigError(
            f"Splitting {n} pictures with validation={validation} and test={test} leaves {max(num_train, 0)} for training, "
            f"{num_validation} for validation and {num_test} for the test, but every part needs one; add pictures or change "
            "the fractions."
        )
    order = np.arange(n, dtype=np.int64)
    np.random.RandomState(seed).shuffle(order)
    train, held_out, validating = np.split(order, [num_train, num_train + num_test])
    return Split(train, validating, held_out)
