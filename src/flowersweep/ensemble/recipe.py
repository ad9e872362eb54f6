"""How an ensemble is made."""

from dataclasses import dataclass

PROBABILITIES, WEIGHTS = "probabilities", "weights"


@dataclass(frozen=True)
class Recipe:
    """How an ensemble is made.

    Attributes:
        top: Maximum number of steps of the selection.
        combine: PROBABILITIES or WEIGHTS: what the mean is taken of.
        flip: Whether the mean over each picture and its horizontal mirror image is taken, too.
    """

    top: int
    combine: str
    flip: bool
