"""Tests of flowersweep.figures.mistakes: what is drawn is read back from the figure's own objects."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes

from flowersweep.figures.mistakes import confident_mistakes, most_confident_mistakes
from rendering import rendered

NAMES = ["daisy", "dandelion", "roses"]


def shown(axis: Axes) -> npt.NDArray[np.float64]:
    """Return the numbers behind the picture in a panel."""
    return np.asarray(axis.images[0].get_array())


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
        rows = np.array([0, 3, 1, 2])
        figure = confident_mistakes(images, [0, 2, 1, 0], probabilities, NAMES, paths, rows=rows)
        assert [shown(axis)[0, 0, 0] for axis in figure.axes] == [1, 3]
        assert rendered(figure).height > 200

    def test_no_mistake_is_said_in_words(self) -> None:
        """Without a mistake the figure is one sentence."""
        figure = confident_mistakes(
            np.zeros((2, 4, 4, 3), np.uint8), [0, 1], np.eye(3)[:2], NAMES, ["a", "b"]
        )
        assert figure.texts[0].get_text() == "No mistakes: all 2 pictures are classified correctly."
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
