"""Comparison of the outputs of an exported model and its source."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flowersweep.data.decode import Pixels, resize
from flowersweep.data.demo import KINDS, draw
from flowersweep.deploy.images import batches
from flowersweep.errors import FlowersweepError
from flowersweep.models.engine import Floats

# Largest difference of a probability that is attributed to rounding.
TOLERANCE = 1e-4

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


def compare(
    source: Callable[[Pixels], Floats], export: Callable[[Floats], Floats], shown: Iterable[Pixels]
) -> Equality:
    """Compare two models on the same pictures.

    Args:
        source: Takes uint8, shape (n, size, size, 3), 0..255; returns probabilities, shape (n, number of classes).
        export: The same, but takes float32.
        shown: The pictures, in batches.

    Raises:
        UnequalError: The probabilities differ by more than TOLERANCE, or are not numbers.
    """
    pictures, difference = 0, 0.0
    for batch in shown:
        expected, received = source(batch), export(batch.astype(np.float32))
        if received.shape != expected.shape:
            raise UnequalError(f"The exported model returns {received.shape} numbers, not {expected.shape}.")
        # np.maximum propagates NaN, Python's max does not.
        difference = float(np.maximum(difference, np.abs(received - expected).max()))
        pictures += len(batch)
    if not difference <= TOLERANCE:  # so that NaN is a difference, too
        raise UnequalError(
            f"The exported model is not equal to its source: probabilities of {pictures} pictures differ by up to "
            f"{difference:.3g}, more than the {TOLERANCE:g} of rounding; nothing was written."
        )
    return Equality(pictures, difference)


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
