"""The learning curves of a run."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flowersweep.config.spelling import value_texts
from flowersweep.figures.style import BLUE, GREEN, GREY, ORANGE, blank
from flowersweep.texts import number_text

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_RATES_WITH_TICK = 6


def learning_curves(
    history: Mapping[str, Sequence[float]],
    best_epoch: int,
    phases: Sequence[tuple[str, int]] = (),
) -> "Figure":
    """Draw loss, accuracy and learning rate over the epochs, with the best epoch marked.

    Args:
        history: One value per epoch by name: `loss`, `val_loss`, `accuracy`, `val_accuracy`, `learning_rate`.
            Missing metrics are left out; NaN leaves a gap.
        best_epoch: The epoch whose weights were saved, counted from 1.
        phases: The name and first epoch of each phase, for runs with more than one.
    """
    panels = [
        name for name in ("loss", "accuracy", "learning_rate") if name in history or f"val_{name}" in history
    ]
    heights = [0.6 if name == "learning_rate" else 1.0 for name in panels]
    figure = blank(8.5, 0.8 + 2.6 * sum(heights))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axis, name in zip(axes, panels, strict=True):
        if name == "learning_rate":
            _draw_learning_rate(axis, history[name])
        else:
            _draw_measure(axis, history, name, best_epoch)
        axis.axvline(best_epoch, color=GREY, linewidth=1, linestyle=":")
        axis.grid(color="#DDDDDD", linewidth=0.6)
    if len(phases) > 1:
        _draw_phases(list(axes), phases)
    length = max(len(values) for values in history.values())
    axes[-1].set(xlabel="epoch", xlim=(0.5, length + 0.5))
    axes[-1].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    figure.align_ylabels(list(axes))
    return figure


def _draw_measure(axis: "Axes", history: Mapping[str, Sequence[float]], name: str, best_epoch: int) -> None:
    for key, label, color, style in (
        (name, "training", BLUE, "--"),
        (f"val_{name}", "validation", ORANGE, "-"),
    ):
        values = history.get(key, ())
        epochs = range(1, len(values) + 1)
        if len(values):
            axis.plot(
                epochs, values, style, color=color, label=label, linewidth=1.8, marker="o", markersize=3
            )
        if key.startswith("val_") and best_epoch in epochs:
            best = values[best_epoch - 1]
            told = f"best epoch {best_epoch}: {number_text(best)}"
            axis.scatter(
                best_epoch, best, s=140, marker="*", color=color, edgecolor="black", zorder=3, label=told
            )
    axis.set_ylabel(name)
    axis.legend(loc="best", fontsize=9)


def _draw_learning_rate(axis: "Axes", values: Sequence[float]) -> None:
    epochs = range(1, len(values) + 1)
    axis.step(epochs, values, where="mid", color=GREEN, linewidth=1.8, marker="o", markersize=3)
    axis.set_yscale("log")
    axis.set_ylabel("learning rate")
    rates = sorted(set(values))
    if len(rates) <= _MAX_RATES_WITH_TICK:  # the rates themselves are more informative than powers of ten
        axis.set_yticks(rates, value_texts(rates))
        axis.minorticks_off()


def _draw_phases(axes: "Sequence[Axes]", phases: Sequence[tuple[str, int]]) -> None:
    for number, (name, start) in enumerate(phases):
        place = start - 0.5
        axes[0].annotate(f" {name}", (place, 1), xycoords=("data", "axes fraction"), va="bottom", color=GREY)
        for axis in axes if number else ():
            axis.axvline(place, color=GREY, linewidth=1)
