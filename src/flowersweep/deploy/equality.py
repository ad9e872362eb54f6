"""Comparison of the outputs of an exported model and its source."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowersweep.data.decode import Pixels, resize
from flowersweep.data.demo import KINDS, draw
from flowersweep.deploy.images import batches
from flowersweep.errors import FlowersweepError
from flowersweep.models.engine import Floats
from flowersweep.texts import counted, number_text, upper_bound

# Largest difference of a probability that is attributed to rounding.
TOLERANCE = 1e-4

# Largest decrease of the validation accuracy that a lower precision may cause. Measured: less than 0.005 (docs/experiments.md).
MAX_DROP = 0.02

Labelled = tuple[Pixels, npt.NDArray[np.integer]]

_NOISE_PICTURES = 8
_FLOWERS_OF_A_KIND = 2
_BATCH = 16


class UnequalError(FlowersweepError):
    """The outputs of an exported model and its source differ."""


@dataclass(frozen=True)
class Equality:
    """The result of a comparison of two models.

    Attributes:
        pictures: The number of pictures.
        difference: Largest absolute difference of a probability.
    """

    pictures: int
    difference: float

    @property
    def about(self) -> str:
        """The result in words."""
        return f"on {counted(self.pictures, 'picture')} its probabilities differ from those of the source by at most {upper_bound(self.difference)}"


@dataclass(frozen=True)
class Agreement:
    """How a model of lower precision compares with its source.

    Attributes:
        pictures: The number of pictures.
        source: How many of them the source classifies correctly.
        export: How many of them the exported model classifies correctly.
        changed: How many predicted classes differ.
        difference: Largest absolute difference of a probability.
    """

    pictures: int
    source: int
    export: int
    changed: int
    difference: float

    @property
    def about(self) -> str:
        """The result in words."""
        return (
            f"on {self.pictures} validation pictures its accuracy is {number_text(self.export / self.pictures)} (source: "
            f"{number_text(self.source / self.pictures)}), the predicted class differs for {self.changed} of them, and probabilities "
            f"differ by at most {upper_bound(self.difference)}"
        )


def compare(
    source: Callable[[Pixels], Floats], export: Callable[[Floats], Floats], shown: Iterable[Pixels]
) -> Equality:
    """Compare two models on the same pictures.

    Args:
        source: Takes uint8, shape (n, size, size, 3), 0..255; returns probabilities, shape (n, number of classes).
        export: The same, but takes float32.
        shown: The pictures, in batches.

    Raises:
        UnequalError: The probabilities differ by more than TOLERANCE, or are not numbers, or there are no pictures.
    """
    pictures, difference = 0, 0.0
    for batch in shown:
        expected, received = source(batch), export(batch.astype(np.float32))
        if received.shape != expected.shape:
            raise UnequalError(f"The exported model returns {received.shape} numbers, not {expected.shape}.")
        # np.maximum propagates NaN, Python's max does not.
        difference = float(np.maximum(difference, np.abs(received - expected).max()))
        pictures += len(batch)
    if not pictures:
        raise UnequalError(
            "None of the pictures could be read to compare the exported model on; nothing was written. Give others with "
            "images=, or leave it out."
        )
    if not difference <= TOLERANCE:  # so that NaN is a difference, too
        raise UnequalError(
            f"The exported model is not equal to its source: probabilities of {counted(pictures, 'picture')} differ by up to "
            f"{upper_bound(difference)}, more than the {TOLERANCE:g} of rounding; nothing was written."
        )
    return Equality(pictures, difference)


def compare_accuracy(
    source: Callable[[Pixels], Floats],
    export: Callable[[Floats], Floats],
    shown: Iterable[Labelled],
    max_drop: float,
) -> Agreement:
    """Compare two models whose probabilities differ because one has a lower precision.

    Args:
        source: As for `compare`.
        export: As for `compare`.
        shown: Pictures and their class numbers, in batches.
        max_drop: The largest decrease of the accuracy that is accepted, 0..1; one picture always is.

    Raises:
        UnequalError: The accuracy of the exported model is lower by more, its probabilities are not numbers, or there are no
            pictures.
    """
    pictures = right = right_export = changed = 0
    difference = 0.0
    for batch, labels in shown:
        expected, received = source(batch), export(batch.astype(np.float32))
        classes, found = expected.argmax(axis=1), received.argmax(axis=1)
        pictures += len(batch)
        right += int((classes == labels).sum())
        right_export += int((found == labels).sum())
        changed += int((classes != found).sum())
        difference = float(np.maximum(difference, np.abs(received - expected).max()))
    if not pictures:
        raise UnequalError(
            "No validation picture could be read to compare the exported model with; nothing was written."
        )
    agreement = Agreement(pictures, right, right_export, changed, difference)
    if np.isnan(difference):
        raise UnequalError("The exported model returns NaN; nothing was written.")
    if right - right_export > max(1.0, max_drop * pictures):
        raise UnequalError(
            f"The exported model is worse than its source: {agreement.about}; nothing was written. A decrease of "
            f"{max_drop:g} is accepted; use a higher precision=, or accept more with max_drop=."
        )
    return agreement


def shown_pictures(paths: list[Path] | None, size: int, resizing: str = "stretch") -> Iterator[Pixels]:
    """Pictures to compare with, in batches.

    Args:
        paths: The paths of pictures, of which unreadable ones are left out; None for a fixed set of noise and synthetic
            flowers.
        size: Side length in pixels.
        resizing: As data.resize of the model's run.
    """
    if paths is not None:
        yield from (batch.images for batch in batches(paths, size, _BATCH, resizing) if batch.positions)
        return
    rng = np.random.default_rng(0)
    yield rng.integers(0, 256, (_NOISE_PICTURES, size, size, 3), dtype=np.uint8)
    yield np.stack(
        [resize(np.asarray(draw(kind, rng)), size) for kind in KINDS for _ in range(_FLOWERS_OF_A_KIND)]
    )
