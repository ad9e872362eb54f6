"""Numbers of a data set: pictures by class and part, and how their sizes are distributed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flowersweep.config.schema import Config
from flowersweep.inspection.looking import PARTS, Looks
from flowersweep.texts import in_one_line

_BINS = 12


@dataclass(frozen=True)
class Counts:
    """The number of pictures of each class.

    Attributes:
        columns: The names of the parts, and "all".
        rows: The name of each class and its numbers, one for each column.
        total: The numbers of all classes.
    """

    columns: list[str]
    rows: list[tuple[str, list[int]]]
    total: list[int]


@dataclass(frozen=True)
class Distribution:
    """How a number is distributed over the pictures.

    Attributes:
        title: What the number is.
        smallest: Its smallest value, as text; so are the median and the largest.
        median: Its median.
        largest: Its largest value.
        bars: For each range of values, its text, the number of pictures, and their share of the largest number in
            percent.
    """

    title: str
    smallest: str
    median: str
    largest: str
    bars: list[tuple[str, int, float]]


def counts_of(looks: Looks) -> Counts:
    """The number of pictures of each class in each part; a test part without pictures is left out."""
    labels, names = looks.catalogue.labels, looks.catalogue.class_names
    parts = np.array(looks.parts)
    columns = [name for name in PARTS if (parts == name).any()]
    per_part = [np.bincount(labels[parts == name], minlength=len(names)) for name in columns]
    table = np.stack([*per_part, np.bincount(labels, minlength=len(names))], axis=1)
    rows = [(in_one_line(name), row) for name, row in zip(names, table.tolist(), strict=True)]
    return Counts([*columns, "all"], rows, table.sum(axis=0).tolist())


def distributions(config: Config, looks: Looks) -> list[Distribution]:
    """The distributions of widths, heights and aspect ratios."""
    ratio = looks.widths / looks.heights
    size = config.trainer.image_size
    return [
        _distribution(f"Width in pixels (used: {size})", looks.widths.astype(float), 0),
        _distribution(f"Height in pixels (used: {size})", looks.heights.astype(float), 0),
        _distribution("Aspect ratio, width divided by height (used: 1)", ratio, 2),
    ]


def _distribution(title: str, values: npt.NDArray[np.float64], digits: int) -> Distribution:
    def text(value: float) -> str:
        return f"{value:,.{digits}f}"

    # Sizes and ratios differ by factors: bins of a logarithmic axis do not put all but the largest into one.
    low, high = float(values.min()), float(values.max())
    edges = np.geomspace(low, high, _BINS + 1) if high > low else np.array([low, high])
    numbers, _ = np.histogram(values, edges if high > low else 1)
    bars = [
        (
            f"{text(start)} to {text(end)}" if high > low else text(low),
            int(number),
            100 * number / numbers.max(),
        )
        for start, end, number in zip(edges, edges[1:], numbers, strict=False)
    ]
    return Distribution(title, text(low), text(float(np.median(values))), text(high), bars)
