"""Which members are selected, and when the selection ends."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from flowersweep.ensemble.selection import Score, score, select, select_soup


def test_score_of_known_probabilities() -> None:
    """Two of three pictures are right, and the loss is the mean of -log 0.5, -log 0.8 and -log 0.1."""
    found = score(np.array([[0.5, 0.5], [0.2, 0.8], [0.9, 0.1]]), np.array([0, 1, 1]))

    assert found.accuracy == pytest.approx(2 / 3)
    assert found.loss == pytest.approx(-(np.log(0.5) + np.log(0.8) + np.log(0.1)) / 3)


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    """A model that is certain and wrong does not make every ensemble with it infinitely bad."""
    assert score(np.array([[0.0, 1.0]]), np.array([0])).loss == pytest.approx(87.3, abs=0.1)


def test_members_that_err_on_other_pictures_are_combined() -> None:
    """Neither of two models is right on both pictures, their mean is."""
    one = np.array([[0.9, 0.1], [0.45, 0.55]])
    other = np.array([[0.45, 0.55], [0.9, 0.1]])
    steps = select([one, other], np.array([0, 0]), top=5)

    assert {step.member for step in steps[:2]} == {0, 1}
    assert [step.score.accuracy for step in steps[:2]] == [0.5, 1.0]


def test_a_member_that_does_not_help_is_not_added() -> None:
    """The selection ends before `top`."""
    good, bad = np.array([[0.9, 0.1]] * 4), np.array([[0.1, 0.9]] * 4)
    assert [step.member for step in select([bad, good], np.zeros(4, int), top=5)] == [1]


@given(st.data())
def test_the_loss_decreases_with_each_step(data: st.DataObject) -> None:
    """And is that of the mean of the selected members, of which there are at most `top`."""
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6)), 3)
    raw = data.draw(arrays.arrays(float, shape, elements=st.floats(0.01, 1)))
    members = list(raw / raw.sum(axis=2, keepdims=True))
    labels = data.draw(arrays.arrays(int, shape[1], elements=st.integers(0, 2)))
    top = data.draw(st.integers(1, 6))
    steps = select(members, labels, top)

    losses = [step.score.loss for step in steps]
    assert 1 <= len(steps) <= top
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert losses[0] == min(score(one, labels).loss for one in members)
    mean = np.mean([members[step.member] for step in steps], axis=0)
    assert losses[-1] == pytest.approx(score(mean, labels).loss)


def test_a_soup_keeps_what_does_not_hurt() -> None:
    """The second candidate makes it worse and is left out, the third and fourth are used, the fifth is too many."""
    asked: list[Sequence[int]] = []

    def scored(some: Sequence[int]) -> Score:
        asked.append(list(some))
        return Score(2.0 if 1 in some else 1.0 / len(some), 0.5)

    assert [step.member for step in select_soup(5, scored, top=3)] == [0, 2, 3]
    assert asked == [[0], [0, 1], [0, 2], [0, 2, 3]]
