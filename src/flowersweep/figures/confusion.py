"""The confusion matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep.figures.style import blank, plain
from flowersweep.texts import counted, share_text

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

_MAX_CELLS_WITH_TEXT = 20  # classes; beyond it the numbers of a confusion matrix overlap
_MAX_NAMES = (
    200  # classes; beyond it names cannot be read, and a grid of thousands takes minutes and gigabytes
)


def confusion_matrix(true: npt.ArrayLike, predicted: npt.ArrayLike, class_names: Sequence[str]) -> "Figure":
    """Draw the confusion matrix, as counts and as percentages of the true class.

    More than 200 classes are shown by their numbers, with a point wherever one was predicted as another.

    Args:
        true: Class numbers, integers of shape (n,).
        predicted: Class numbers, integers of shape (n,).
        class_names: The classes in the order of their numbers.
    """
    side = min(4.0 + 0.75 * len(class_names), 16.0)
    figure = blank(side + 1.2, side)
    axis = figure.subplots()
    draw = _draw_grid if len(class_names) <= _MAX_NAMES else _draw_points
    shown = draw(axis, np.asarray(true), np.asarray(predicted), class_names)
    right, total = np.count_nonzero(np.equal(true, predicted)), np.size(true)
    axis.set_title(
        f"{right} of {counted(total, 'picture')} correct ({share_text(right / max(total, 1), decimals=1)})",
        fontsize=11,
    )
    figure.colorbar(shown, ax=axis, label="share of the true class", fraction=0.04, format=_percent())
    return figure


def confusion_counts(true: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.int64]:
    """Return how often each true class (row) was predicted as each class (column), shape (n_classes, n_classes)."""
    pairs = np.asarray(true, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def _draw_grid(
    axis: "Axes", true: npt.NDArray[Any], predicted: npt.NDArray[Any], class_names: Sequence[str]
) -> "ScalarMappable":
    counts = confusion_counts(true, predicted, len(class_names))
    totals = counts.sum(axis=1, keepdims=True)
    fractions = counts / np.maximum(totals, 1)
    if len(class_names) <= _MAX_CELLS_WITH_TEXT:
        for (row, column), count in np.ndenumerate(counts):
            fraction = fractions[row, column]
            axis.text(
                column,
                row,
                f"{count}\n{share_text(fraction)}" if count else "0",
                ha="center",
                va="center",
                fontsize=10,
                color="white" if fraction > 0.55 else "black",
                fontweight="bold" if row == column else "normal",
            )
    names = [plain(name) for name in class_names]
    labels = [f"{name}\n({total})" for name, total in zip(names, totals[:, 0], strict=True)]
    axis.set_xticks(range(len(names)), names)
    if len(names) > 4:
        axis.tick_params("x", rotation=30)
    axis.set_yticks(range(len(names)), labels)
    axis.set(xlabel="predicted", ylabel="true class (pictures)")
    return axis.imshow(fractions, cmap="Blues", vmin=0, vmax=1)


def _draw_points(
    axis: "Axes", true: npt.NDArray[Any], predicted: npt.NDArray[Any], class_names: Sequence[str]
) -> "ScalarMappable":
    (rows, columns), counts = np.unique(np.stack([true, predicted]), axis=1, return_counts=True)
    shares = counts / np.bincount(true, minlength=len(class_names))[rows]
    ends = (-0.5, len(class_names) - 0.5)
    axis.set(xlabel="predicted", ylabel="true class", xlim=ends, ylim=ends[::-1], aspect="equal")
    return axis.scatter(columns, rows, c=shares, s=4, cmap="Blues", vmin=0, vmax=1)


def _percent() -> "PercentFormatter":
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(xmax=1, decimals=0)
