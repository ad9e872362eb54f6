"""The trials of a study, ranked, with the spread over their seeds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from flowersweep.figures.style import BLUE, GREY, blank, plain

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.figure import Figure

MAX_ROWS = 20


def ranking(values: Mapping[str, Sequence[float]], metric: str) -> "Figure":
    """Draw the mean of each trial, its standard deviation, and the value of each seed.

    Args:
        values: The values of each trial by its name, the best trial first; only the first MAX_ROWS are drawn.
        metric: The name of what is compared.
    """
    shown = list(values.items())[:MAX_ROWS]
    figure = blank(8.5, 1.2 + 0.33 * len(shown))
    axis = figure.subplots()
    for row, (_, some) in enumerate(shown):
        deviation = float(np.std(some, ddof=1)) if len(some) > 1 else None
        axis.plot(some, [row] * len(some), "o", color=GREY, markersize=4, markerfacecolor="none")
        axis.errorbar(float(np.mean(some)), row, xerr=deviation, fmt="D", color=BLUE, markersize=6, capsize=4)
    axis.set_yticks(range(len(shown)), [plain(name, 44) for name, _ in shown])
    axis.invert_yaxis()
    repeated = any(len(some) > 1 for _, some in shown)
    axis.set_xlabel(f"{metric}: mean ± standard deviation over seeds" if repeated else metric)
    axis.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    return figure
