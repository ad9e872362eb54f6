"""The confusion matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flowersweep.figures.style import blank, plain
from flowersweep.texts import counted

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

_MAX_CELLS_WITH_TEXT = 20  # classes; beyond it the numbers of a confusion matrix overlap
_MAX_NAMES = 200  # classes; beyond it names cannot be read, and drawing thousands takes minutes


def confusion_matrix(true: npt.ArrayLike, predicted: npt.ArrayLike, class_names: Sequence[str]) -> "Figure":
    """Draw the confusion matrix, as counts and as percentages of the true class; many classes by their numbers.

    Args:
        true: Class numbers, integers of shape (n,).
        predicted: Class numbers, integers of shape (n,).
        class_names: The classes in the order of their numbers.
    """
    counts = confusion_counts(true, predicted, len(class_names))
    totals = counts.sum(axis=1, keepdims=True)
    fractions = counts / np.maximum(totals, 1)
    side = min(4.0 + 0.75 * len(class_names), 16.0)
    figure = blank(side + 1.2, side)
    axis = figure.subplots()
    shown = axis.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if len(class_names) <= _MAX_CELLS_WITH_TEXT:
        for (row, column), count in np.ndenumerate(counts):
            fraction = fractions[row, column]
            axis.text(
                column,
                row,
                f"{count}\n{fraction:.0%}" if count else "0",
                ha="center",
                va="center",
                fontsize=10,
                color="white" if fraction > 0.55 else "black",
                fontweight="bold" if row == column else "normal",
            )
    if len(class_names) <= _MAX_NAMES:
        labels = [f"{plain(name)}\n({total})" for name, total in zip(class_names, totals[:, 0], strict=True)]
        axis.set_xticks(range(len(class_names)), [plain(name) for name in class_names])
        if len(class_names) > 4:
            axis.tick_params("x", rotation=30)
        axis.set_yticks(range(len(class_names)), labels)
    axis.set(xlabel="predicted", ylabel="true class (pictures)")
    right, total = int(np.trace(counts)), int(counts.sum())
    axis.set_title(
        f"{right} of {counted(total, 'picture')} correct ({right / max(total, 1):.1%})", fontsize=11
    )
    figure.colorbar(shown, ax=axis, label="share of the true class", fraction=0.04, format=_percent())
    return figure


def confusion_counts(true: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.int64]:
    """Return how often each true class (row) was predicted as each class (column), shape (n_classes, n_classes)."""
    pairs = np.asarray(true, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def _percent() -> "PercentFormatter":
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(xmax=1, decimals=0)
