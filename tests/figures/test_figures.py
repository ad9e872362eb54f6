"""Tests of flowersweep.figures.figures: what is drawn is read back from the figure's own objects."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from flowersweep.figures.figures import (
    confident_mistakes,
    confusion_counts,
    confusion_matrix,
    learning_curves,
    most_confident_mistakes,
)

NAMES = ["daisy", "dandelion", "roses"]
HISTORY = {
    "loss": [1.5, 1.0, 0.8, 0.7],
    "val_loss": [1.4, 1.1, 0.9, 1.0],
    "accuracy": [0.3, 0.5, 0.6, 0.7],
    "val_accuracy": [0.35, 0.5, 0.62, 0.6],
    "learning_rate": [1e-3, 1e-3, 1e-3, 2e-4],
}


def rendered(figure: Figure) -> Image.Image:
    """Draw the figure as MLflow would and return the picture."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file)


def curve(axis: Axes, number: int) -> list[float]:
    """Return the values of a curve."""
    return [float(value) for value in np.asarray(axis.lines[number].get_ydata())]


def legend(axis: Axes) -> list[str]:
    """Return the texts of the legend."""
    box = axis.get_legend()
    assert box is not None
    return [text.get_text() for text in box.get_texts()]


def shown(axis: Axes) -> npt.NDArray[np.float64]:
    """Return the numbers behind the picture in a panel."""
    return np.asarray(axis.images[0].get_array())


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
        assert loss.get_xlim() == rate.get_xlim() == (-0.5, 3.5)

    def test_best_epoch_is_named_with_its_value(self) -> None:
        """The legends tell the validation loss and accuracy of the best epoch, counted as the caller counts."""
        loss, accuracy, _ = learning_curves(HISTORY, best_epoch=3, first_epoch=1).axes
        assert "best epoch 3: 0.9000" in legend(loss)
        assert "best epoch 3: 0.6200" in legend(accuracy)

    def test_phases_are_named_and_parted_by_a_line(self) -> None:
        """A second phase that begins at epoch 2 is parted from the first half an epoch before it."""
        figure = learning_curves(HISTORY, best_epoch=3, phases=[("head", 0), ("fine-tune", 2)])
        assert [text.get_text().strip() for text in figure.axes[0].texts] == ["head", "fine-tune"]
        assert figure.axes[2].lines[-1].get_xdata() == [1.5, 1.5]

    def test_a_run_of_one_epoch_without_validation_is_drawn(self) -> None:
        """What is missing is left out, NaN is survived, and a single point is visible."""
        figure = learning_curves({"loss": [float("nan")], "accuracy": [0.5]}, best_epoch=0)
        assert len(figure.axes) == 2
        assert figure.axes[1].lines[0].get_marker() == "o"
        assert rendered(figure).width == pytest.approx(935, abs=1)


class TestConfusionMatrix:
    """Which class was taken for which."""

    def test_counts_and_row_percentages_are_written(self) -> None:
        """A cell shows its count and its share of the true class; the title shows the accuracy."""
        figure = confusion_matrix([0, 0, 0, 0, 1, 2], [0, 0, 0, 1, 1, 0], NAMES)
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert texts == ["3\n75%", "1\n25%", "0", "0", "1\n100%", "0", "1\n100%", "0", "0"]
        assert figure.axes[0].get_title() == "4 of 6 pictures right (66.7%)"
        assert np.allclose(shown(figure.axes[0])[0], [0.75, 0.25, 0])

    def test_a_class_without_pictures_and_a_hundred_classes_are_drawn(self) -> None:
        """An empty row has no share, and numbers that would overlap are left out."""
        figure = confusion_matrix([0, 1], [0, 1], [f"class {number}" for number in range(100)])
        assert len(figure.axes[0].texts) == 0
        assert rendered(figure).width < 2000

    def test_names_in_any_script_are_drawn(self) -> None:
        """Characters that the font has not are escaped, each another way; Matplotlib would warn of each."""
        figure = confusion_matrix([0, 1, 2], [0, 1, 1], ["郁金香", "tulip 🌷", "$a$ grün"])
        figure.savefig(io.BytesIO())

        labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
        assert labels == [r"\u90c1\u91d1\u9999", r"tulip \U0001f337", r"\$a\$ grün"]

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
    def test_counts_are_those_of_a_plain_loop(self, pairs: list[tuple[int, int]]) -> None:
        """The counts equal those found one pair at a time."""
        expected = np.zeros((4, 4), dtype=int)
        for true, predicted in pairs:
            expected[true, predicted] += 1
        true_column, predicted_column = zip(*pairs, strict=True)
        assert (confusion_counts(true_column, predicted_column, 4) == expected).all()


class TestConfidentMistakes:
    """The pictures a model was wrongly sure of."""

    def test_surest_mistakes_come_first_with_all_their_facts(self) -> None:
        """Only wrong pictures are shown, by falling probability, each with both classes and its file name."""
        images = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((4, 8, 8, 3), dtype=np.uint8)
        probabilities = [[0.9, 0.1, 0.0], [0.6, 0.1, 0.3], [0.0, 0.2, 0.8], [0.5, 0.2, 0.3]]
        paths = ["daisy/a.jpg", "roses/b.jpg", "dandelion/c.jpg", "daisy/d.jpg"]
        figure = confident_mistakes(images, [0, 2, 1, 0], probabilities, NAMES, paths)
        assert [axis.get_title() for axis in figure.axes] == ["predicted roses 80%", "predicted daisy 60%"]
        assert [axis.texts[0].get_text() for axis in figure.axes] == [
            "true dandelion 20%\nc.jpg",
            "true roses 30%\nb.jpg",
        ]
        assert [shown(axis)[0, 0, 0] for axis in figure.axes] == [2, 1]
        assert rendered(figure).height > 200

    def test_no_mistake_is_said_in_words(self) -> None:
        """Without a mistake the figure is one sentence."""
        figure = confident_mistakes(
            np.zeros((2, 4, 4, 3), np.uint8), [0, 1], np.eye(3)[:2], NAMES, ["a", "b"]
        )
        assert figure.texts[0].get_text() == "No mistakes: all 2 pictures are classified rightly."
        assert len(figure.axes) == 0

    @given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.integers(1, 30))
    def test_choice_is_wrong_sorted_and_complete(self, seed: int, n: int, count: int) -> None:
        """The chosen are wrong, sorted by confidence, and no mistake left out is surer than one chosen."""
        random = np.random.default_rng(seed)
        probabilities, true = random.dirichlet(np.ones(3), n), random.integers(0, 3, n)
        chosen = most_confident_mistakes(true, probabilities, count)
        wrong = np.flatnonzero(probabilities.argmax(axis=1) != true)
        assert len(chosen) == min(count, len(wrong))
        assert set(chosen) <= set(wrong)
        confidences = probabilities.max(axis=1)
        assert (np.diff(confidences[chosen]) <= 0).all()
        left_out = [confidences[index] for index in wrong if index not in chosen]
        assert not left_out or max(left_out) <= confidences[chosen].min()


def test_no_figure_stays_open() -> None:
    """Figures belong to nobody but the caller: pyplot knows of none."""
    learning_curves(HISTORY, best_epoch=2)
    confusion_matrix([0, 1], [0, 1], NAMES)
    assert plt.get_fignums() == []
