"""Tests of flowersweep.figures.confusion: what is drawn is read back from the figure's own objects."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes

from flowersweep.figures.confusion import confusion_counts, confusion_matrix
from rendering import rendered

NAMES = ["daisy", "dandelion", "roses"]


def shown(axis: Axes) -> npt.NDArray[np.float64]:
    """Return the numbers behind the picture in a panel."""
    return np.asarray(axis.images[0].get_array())


class TestConfusionMatrix:
    """Which class was taken for which."""

    def test_counts_and_row_percentages_are_written(self) -> None:
        """A cell shows its count and its share of the true class; the title shows the accuracy."""
        figure = confusion_matrix([0, 0, 0, 0, 1, 2], [0, 0, 0, 1, 1, 0], NAMES)
        texts = [text.get_text() for text in figure.axes[0].texts]
        assert texts == ["3\n75%", "1\n25%", "0", "0", "1\n100%", "0", "1\n100%", "0", "0"]
        assert figure.axes[0].get_title() == "4 of 6 pictures correct (66.7%)"
        assert np.allclose(shown(figure.axes[0])[0], [0.75, 0.25, 0])

    def test_what_is_not_all_is_not_100_percent(self) -> None:
        """One wrong picture of 4,000 is neither nothing nor rounded away."""
        true, predicted = [0] * 4000, [0] * 3999 + [1]
        figure = confusion_matrix(true, predicted, NAMES)
        assert [text.get_text() for text in figure.axes[0].texts][:2] == ["3999\n>99%", "1\n<1%"]
        assert figure.axes[0].get_title() == "3999 of 4,000 pictures correct (>99.9%)"

    @pytest.mark.slow
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


def test_many_classes_are_points() -> None:
    """Names that nobody can read are not drawn, and a cell only where there are pictures: a grid would take gigabytes."""
    names = [f"class {number}" for number in range(50_000)]
    figure = confusion_matrix([3, 3, 3, 49_999], [3, 3, 7, 0], names)
    axis = figure.axes[0]

    assert axis.get_title() == "2 of 4 pictures correct (50.0%)"
    assert len(axis.get_xticks()) < 20
    assert not [label for label in axis.get_yticklabels() if "class" in label.get_text()]
    (points,) = axis.collections
    assert np.asarray(points.get_offsets()).tolist() == [[3, 3], [7, 3], [0, 49_999]]
    assert np.allclose(np.asarray(points.get_array()), [2 / 3, 1 / 3, 1])
    assert rendered(figure).width < 2000
