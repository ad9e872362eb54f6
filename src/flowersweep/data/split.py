"""The split into training, validation and test pictures: that of Keras, or one with all classes in every part."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowersweep.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of pictures in a catalogue, each picture in exactly one part, in a shuffled order (for `keras`, in Keras').

    Attributes:
        train: int64, shape (num_train,).
        validation: int64, shape (num_validation,).
        test: int64, shape (num_test,); empty unless a test set was requested.
    """

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, train: npt.ArrayLike, validation: npt.ArrayLike, test: npt.ArrayLike, *, seed: int
    ) -> "Split":
        """A split from three masks, bool, shape (n,), with the pictures of each part in the order that `seed` shuffles."""
        order = shuffled(len(np.asarray(train)), seed)
        return cls(*(order[np.asarray(part)[order]] for part in (train, validation, test)))


def shuffled(n: int, seed: int) -> npt.NDArray[np.int64]:
    """The numbers 0..n-1 in Keras' shuffled order.

    Raises:
        ConfigError: The seed is not in 0..2**32-1.
    """
    if not 0 <= seed < 2**32:
        raise ConfigError(f"The seed of the split must be in 0..2**32-1, but is {seed}.")
    order = np.arange(n, dtype=np.int64)
    np.random.RandomState(seed).shuffle(order)
    return order


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
    order = shuffled(n, seed)
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
    train, held_out, validating = np.split(order, [num_train, num_train + num_test])
    return Split(train, validating, held_out)


def balanced_split(
    labels: npt.NDArray[np.int32],
    groups: Sequence[Hashable] | None = None,
    *,
    seed: int,
    validation: float,
    test: float = 0.0,
    folds: int | None = None,
    fold: int = 0,
) -> Split:
    """Split so that every part has about the same fraction of each class, and no group is in two parts.

    Args:
        labels: int32, shape (n,): the class of each picture.
        groups: The group of each picture; None if each picture is a group of its own.
        seed: Seeds the shuffle, 0..2**32-1.
        validation: Fraction of all pictures for validation; not used with folds.
        test: Fraction of all pictures for the test. It is the same part for every fold.
        folds: The number of folds into which the pictures outside the test part are divided; None for a single split.
        fold: The fold that validates, 0..folds-1.
    """
    if folds is None:
        fractions = [1 - validation - test, validation, test]
        part = _assigned(labels, groups, fractions, seed)
        return Split.of(part == 0, part == 1, part == 2, seed=seed)
    part = _assigned(labels, groups, [*[(1 - test) / folds] * folds, test], seed)
    return Split.of((part != fold) & (part != folds), part == fold, part == folds, seed=seed)


def _assigned(
    labels: npt.NDArray[np.int32], groups: Sequence[Hashable] | None, fractions: Sequence[float], seed: int
) -> npt.NDArray[np.int64]:
    """The part of each picture, int64, shape (n,): an index of `fractions`, of which those that are 0 get nothing.

    Groups are taken one by one, large ones first, and each goes where its classes are the farthest below their share.
    """
    order = shuffled(len(labels), seed).tolist()
    members: dict[Hashable, list[int]] = {}
    for index in order:
        members.setdefault(index if groups is None else groups[index], []).append(index)
    n_of_class = np.bincount(labels).tolist()
    parts = [part for part, fraction in enumerate(fractions) if fraction > 0]
    has = [[0] * len(n_of_class) for _ in fractions]
    total = [0] * len(fractions)
    assigned = np.empty(len(labels), np.int64)
    # Groups of similar size stay in their shuffled order: otherwise the seed would hardly change the split.
    for group in sorted(members.values(), key=lambda group: -len(group).bit_length()):
        counts = Counter(labels[group].tolist())

        def need(part: int, counts: Counter[int] = counts) -> tuple[float, float, float]:
            below = sum(
                count * (1 - has[part][label] / (fractions[part] * n_of_class[label]))
                for label, count in counts.items()
            )
            return below, -total[part] / fractions[part], fractions[part]

        chosen = max(parts, key=need)
        assigned[group] = chosen
        total[chosen] += len(group)
        for label, count in counts.items():
            has[chosen][label] += count
    return assigned


def check_parts(
    labels: npt.NDArray[np.int32], class_names: Sequence[str], parts: Split, remedy: str, *, tests: bool
) -> None:
    """Refuse a split with a part that lacks a class.

    Args:
        labels: int32, shape (n,): the class of each picture.
        class_names: The names of the classes.
        parts: The split.
        remedy: How to fix it, the end of the message.
        tests: Whether a test part was requested; otherwise it may be empty.

    Raises:
        ConfigError: A class is missing in a part.
    """
    for name, indices in (("training", parts.train), ("validation", parts.validation), ("test", parts.test)):
        if name == "test" and not (tests or len(indices)):
            continue
        if not len(indices):
            raise ConfigError(
                f"The {name} part of the split has no pictures, but needs some of every class; {remedy}."
            )
        counts = np.bincount(labels[indices], minlength=len(class_names))
        if not counts.all():
            missing = int(counts.argmin())
            raise ConfigError(
                f"The {name} part of the split has no picture of the class {class_names[missing]}, which has "
                f"{int((labels == missing).sum())} in all; {remedy}."
            )
