"""The most confident mistakes: wrongly classified pictures with the highest predicted probabilities."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flowersweep.figures.style import ORANGE, blank, plain
from flowersweep.texts import counted, share_text

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.figure import Figure

    from flowersweep.data.stream import Images


def confident_mistakes(
    images: "Images",
    true: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    class_names: Sequence[str],
    paths: Sequence[str | PurePath],
    *,
    rows: npt.NDArray[np.int64] | None = None,
    count: int = 16,
) -> "Figure":
    """Draw the wrongly classified pictures with the highest predicted probabilities, the most confident first.

    Args:
        images: uint8, shape (n, height, width, 3); only the drawn pictures are read.
        true: Class numbers, integers of shape (n,).
        probabilities: Shape (n, number of classes), each row summing to 1.
        class_names: The classes in the order of their numbers.
        paths: The paths of the pictures; their file names are shown.
        rows: The row of each picture in `images`; None if they are in the same order.
        count: The maximum number of pictures.
    """
    truth, chances = np.asarray(true), np.asarray(probabilities)
    chosen = most_confident_mistakes(truth, chances, count)
    if not len(chosen):
        figure = blank(8.5, 1.6)
        figure.text(
            0.5, 0.5, f"No mistakes: all {len(truth)} pictures are classified correctly.", ha="center"
        )
        return figure
    columns = min(4, len(chosen))
    lines = -(-len(chosen) // columns)
    height = 2.95 * lines + 0.4
    # The place of everything is known, so that no layout has to be computed.
    figure = blank(2.35 * max(columns, 2), height, layout=None)
    figure.subplots_adjust(
        left=0.01, right=0.99, top=1 - 0.7 / height, bottom=0.5 / height, wspace=0.06, hspace=0.36
    )
    wrong = int((chances.argmax(axis=1) != truth).sum())
    figure.suptitle(
        f"The {len(chosen)} most confident of {wrong} mistakes among {counted(len(truth), 'picture')}",
        fontsize=11,
    )
    no_ticks: dict[str, list[float]] = {
        "xticks": [],
        "yticks": [],
    }  # they would be placed although they are not drawn
    for axis in figure.subplots(lines, columns, squeeze=False, subplot_kw=no_ticks).flat:
        axis.set_axis_off()
    for axis, index in zip(figure.axes, chosen, strict=False):
        guess = int(chances[index].argmax())
        axis.imshow(images[index if rows is None else rows[index]])
        axis.set_title(
            f"predicted {plain(class_names[guess], 16)} {share_text(chances[index, guess])}",
            fontsize=10,
            color=ORANGE,
            fontweight="bold",
            pad=4,
        )
        axis.text(
            0.5,
            -0.03,
            f"true {plain(class_names[truth[index]])} {share_text(chances[index, truth[index]])}\n{plain(PurePath(paths[index]).name)}",
            transform=axis.transAxes,
            ha="center",
            va="top",
            fontsize=8,
        )
    return figure


def most_confident_mistakes(
    true: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating], count: int
) -> npt.NDArray[np.int64]:
    """Return the indices of at most `count` wrongly classified pictures, by decreasing probability of the predicted class."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != true)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order[:count]]
