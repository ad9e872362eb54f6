"""Tests of flowersweep.figures.curves: what is drawn is read back from the figure's own objects."""

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from flowersweep.figures.curves import learning_curves
from rendering import rendered

HISTORY = {
    "loss": [1.5, 1.0, 0.8, 0.7],
    "val_loss": [1.4, 1.1, 0.9, 1.0],
    "accuracy": [0.3, 0.5, 0.6, 0.7],
    "val_accuracy": [0.35, 0.5, 0.62, 0.6],
    "learning_rate": [1e-3, 1e-3, 1e-3, 2e-4],
}


def curve(axis: Axes, number: int) -> list[float]:
    """Return the values of a curve."""
    return [float(value) for value in np.asarray(axis.lines[number].get_ydata())]


def legend(axis: Axes) -> list[str]:
    """Return the texts of the legend."""
    box = axis.get_legend()
    assert box is not None
    return [text.get_text() for text in box.get_texts()]


class TestLearningCurves:
    """The curves of one run."""

    def test_every_measure_is_drawn_under_one_axis_of_epochs(self) -> None:
        """Loss and accuracy hold two curves each, the learning rate one, on a logarithmic axis."""
        loss, accuracy, rate = learning_curves(HISTORY, best_epoch=2).axes
        assert curve(loss, 0) == HISTORY["loss"]
        assert curve(loss, 1) == HISTORY["val_loss"]
        assert curve(accuracy, 1) == HISTORY["val_accuracy"]
        assert curve(rate, 0) == HISTORY["learning_rate"]
        assert rate.get_yscale() == "log"
        assert loss.get_xlim() == rate.get_xlim() == (0.5, 4.5)

    def test_best_epoch_is_named_with_its_value(self) -> None:
        """The legends tell the validation loss and accuracy of the best epoch, counted from 1."""
        loss, accuracy, _ = learning_curves(HISTORY, best_epoch=3).axes
        assert "best epoch 3: 0.9000" in legend(loss)
        assert "best epoch 3: 0.6200" in legend(accuracy)

    def test_phases_are_named_and_parted_by_a_line(self) -> None:
        """A second phase that begins at epoch 3 is parted from the first half an epoch before it."""
        figure = learning_curves(HISTORY, best_epoch=3, phases=[("head", 1), ("fine-tune", 3)])
        assert [text.get_text().strip() for text in figure.axes[0].texts] == ["head", "fine-tune"]
        assert figure.axes[2].lines[-1].get_xdata() == [2.5, 2.5]

    def test_a_run_of_one_epoch_without_validation_is_drawn(self) -> None:
        """What is missing is left out, NaN is survived, and a single point is visible."""
        figure = learning_curves({"loss": [float("nan")], "accuracy": [0.5]}, best_epoch=1)
        assert len(figure.axes) == 2
        assert figure.axes[1].lines[0].get_marker() == "o"
        assert rendered(figure).width == pytest.approx(935, abs=1)


def test_no_figure_stays_open() -> None:
    """Figures belong to nobody but the caller: pyplot knows of none."""
    learning_curves(HISTORY, best_epoch=2)
    assert plt.get_fignums() == []
