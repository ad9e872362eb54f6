"""The figures of one run: learning curves, confusion matrix, and the mistakes it was surest of.

They are drawn without pyplot, so nothing is left open, and in colours that colour-blind readers can distinguish
(Okabe and Ito, 2008). The sizes suit the width at which MLflow shows a picture.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flowersweep.texts import in_one_line

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
DPI = 110

_MAX_CELLS_WITH_TEXT = 20  # classes; beyond it the numbers of a confusion matrix overlap
_MAX_RATES_WITH_TICK = 6


def learning_curves(
    history: Mapping[str, Sequence[float]],
    best_epoch: int,
    phases: Sequence[tuple[str, int]] = (),
    *,
    first_epoch: int = 0,
) -> "Figure":
    """Draw loss, accuracy and learning rate over one axis of epochs, with the best epoch marked.

    Args:
        history: One value per epoch by name: `loss`, `val_loss`, `accuracy`, `val_accuracy`, `learning_rate`.
            What is missing is left out; NaN leaves a gap.
        best_epoch: The epoch whose weights were kept.
        phases: The name and first epoch of each phase, for runs with more than one.
        first_epoch: The number of the first epoch, in the counting of `best_epoch` and `phases`.
    """
    panels = [
        name for name in ("loss", "accuracy", "learning_rate") if name in history or f"val_{name}" in history
    ]
    heights = [0.6 if name == "learning_rate" else 1.0 for name in panels]
    figure = blank(8.5, 0.8 + 2.6 * sum(heights))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axis, name in zip(axes, panels, strict=True):
        if name == "learning_rate":
            _draw_learning_rate(axis, history[name], first_epoch)
        else:
            _draw_measure(axis, history, name, first_epoch, best_epoch)
        axis.axvline(best_epoch, color=GREY, linewidth=1, linestyle=":")
        axis.grid(color="#DDDDDD", linewidth=0.6)
    if len(phases) > 1:
        _draw_phases(list(axes), phases, first_epoch)
    length = max(len(values) for values in history.values())
    axes[-1].set(xlabel="epoch", xlim=(first_epoch - 0.5, first_epoch + length - 0.5))
    axes[-1].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    figure.align_ylabels(list(axes))
    return figure


def confusion_matrix(true: npt.ArrayLike, predicted: npt.ArrayLike, class_names: Sequence[str]) -> "Figure":
    """Draw how many pictures of each class were taken for which, as counts and as percentages of the true class.

    Args:
        true: Class numbers, integers of shape (n,).
        predicted: Class numbers, integers of shape (n,).
        class_names: In the order of the numbers.
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
    labels = [f"{plain(name)}\n({total})" for name, total in zip(class_names, totals[:, 0], strict=True)]
    axis.set_xticks(range(len(class_names)), [plain(name) for name in class_names])
    if len(class_names) > 4:
        axis.tick_params("x", rotation=30)
    axis.set_yticks(range(len(class_names)), labels)
    axis.set(xlabel="predicted", ylabel="true class (pictures)")
    right, total = int(np.trace(counts)), int(counts.sum())
    axis.set_title(f"{right} of {total} pictures right ({right / max(total, 1):.1%})", fontsize=11)
    figure.colorbar(shown, ax=axis, label="share of the true class", fraction=0.04, format=_percent())
    return figure


def confusion_counts(true: npt.ArrayLike, predicted: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.int64]:
    """Return how often each true class (row) was predicted as each class (column), shape (n_classes, n_classes)."""
    pairs = np.asarray(true, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def confident_mistakes(
    images: npt.NDArray[np.uint8],
    true: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    class_names: Sequence[str],
    paths: Sequence[str | PurePath],
    *,
    count: int = 16,
) -> "Figure":
    """Draw the wrongly classified pictures of which the model was surest, the surest first.

    Args:
        images: uint8, shape (n, height, width, 3); may be memory-mapped, only what is drawn is read.
        true: Class numbers, integers of shape (n,).
        probabilities: Shape (n, number of classes), each row summing to 1.
        class_names: In the order of the numbers.
        paths: Where each picture came from; its file name is shown.
        count: How many pictures at most.
    """
    truth, chances = np.asarray(true), np.asarray(probabilities)
    chosen = most_confident_mistakes(truth, chances, count)
    if not len(chosen):
        figure = blank(8.5, 1.6)
        figure.text(0.5, 0.5, f"No mistakes: all {len(truth)} pictures are classified rightly.", ha="center")
        return figure
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = blank(2.35 * max(columns, 2), 2.95 * rows + 0.4)
    wrong = int((chances.argmax(axis=1) != truth).sum())
    figure.suptitle(f"The surest {len(chosen)} of {wrong} mistakes among {len(truth)} pictures", fontsize=11)
    for axis in figure.subplots(rows, columns, squeeze=False).flat:
        axis.set_axis_off()
    for axis, index in zip(figure.axes, chosen, strict=False):
        guess = int(chances[index].argmax())
        axis.imshow(images[index])
        axis.set_title(
            f"predicted {plain(class_names[guess], 16)} {chances[index, guess]:.0%}",
            fontsize=10,
            color=ORANGE,
            fontweight="bold",
            pad=4,
        )
        axis.text(
            0.5,
            -0.03,
            f"true {plain(class_names[truth[index]])} {chances[index, truth[index]]:.0%}\n{plain(PurePath(paths[index]).name)}",
            transform=axis.transAxes,
            ha="center",
            va="top",
            fontsize=8,
        )
    return figure


def most_confident_mistakes(
    true: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating], count: int
) -> npt.NDArray[np.int64]:
    """Return the indices of at most `count` wrongly classified pictures, by falling probability of the wrong class."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != true)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order[:count]]


def _draw_measure(
    axis: "Axes", history: Mapping[str, Sequence[float]], name: str, first_epoch: int, best_epoch: int
) -> None:
    for key, label, color, style in (
        (name, "training", BLUE, "--"),
        (f"val_{name}", "validation", ORANGE, "-"),
    ):
        values = history.get(key, ())
        epochs = range(first_epoch, first_epoch + len(values))
        if len(values):
            axis.plot(
                epochs, values, style, color=color, label=label, linewidth=1.8, marker="o", markersize=3
            )
        if key.startswith("val_") and best_epoch in epochs:
            best = values[best_epoch - first_epoch]
            told = f"best epoch {best_epoch}: {best:.4f}"
            axis.scatter(
                best_epoch, best, s=140, marker="*", color=color, edgecolor="black", zorder=3, label=told
            )
    axis.set_ylabel(name)
    axis.legend(loc="best", fontsize=9)


def _draw_learning_rate(axis: "Axes", values: Sequence[float], first_epoch: int) -> None:
    epochs = range(first_epoch, first_epoch + len(values))
    axis.step(epochs, values, where="mid", color=GREEN, linewidth=1.8, marker="o", markersize=3)
    axis.set_yscale("log")
    axis.set_ylabel("learning rate")
    rates = sorted(set(values))
    if len(rates) <= _MAX_RATES_WITH_TICK:  # the rates themselves say more than powers of ten
        axis.set_yticks(rates, [f"{rate:.3g}" for rate in rates])
        axis.minorticks_off()


def _draw_phases(axes: "Sequence[Axes]", phases: Sequence[tuple[str, int]], first_epoch: int) -> None:
    for number, (name, start) in enumerate(phases):
        place = max(start, first_epoch) - 0.5
        axes[0].annotate(f" {name}", (place, 1), xycoords=("data", "axes fraction"), va="bottom", color=GREY)
        for axis in axes if number else ():
            axis.axvline(place, color=GREY, linewidth=1)


def blank(width: float, height: float) -> "Figure":
    """Return an empty figure, `width` by `height` inches, that belongs to no window and no global list."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _percent() -> "PercentFormatter":
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(xmax=1, decimals=0)


def plain(name: str, limit: int = 26) -> str:
    r"""A name in one line and as it is: matplotlib takes what is between two dollars for mathematics.

    Characters that its font has not are escaped, as in `\u5411`.
    """
    line = in_one_line(name)
    # Matplotlib would draw a box for each, all alike, and warn.
    shown = "".join(one if _has_glyph(one) else one.encode("unicode_escape").decode() for one in line)
    shown = shown if len(shown) <= limit else f"{shown[: limit - 10]}...{shown[-7:]}"
    return shown.replace("$", r"\$")


@cache
def _has_glyph(character: str) -> bool:
    if character.isascii():
        return True
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return get_font(findfont(FontProperties())).get_char_index(ord(character)) != 0
