"""The order of a study's configurations, from values as trainings log them."""

import datetime as dt
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowersweep.report.evidence import Goal, State, Study, Training, Trial, configurations
from flowersweep.report.ranking import measured, ranking
from flowersweep.report.reading import read_study
from flowersweep.report.summary import summary
from flowersweep.report.winner import Winner, read_winner
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store import Store

UNEQUAL = {"more": {0: 0.90, 1: 0.905, 2: 0.91, 3: 0.96}, "fewer": {0: 0.91, 1: 0.9151, 2: 0.9199}}
ACCURACY, LOSS = Goal("best/val_accuracy", maximize=True), Goal("best/val_loss", maximize=False)


def study(
    values: Mapping[str, Mapping[int, float]], goal: Goal = ACCURACY, n_validation: int | None = None
) -> Study:
    """A study of one trial for each name, whose trainings have these values by seed."""
    trials = tuple(
        Trial(
            number=number,
            state=State.COMPLETE,
            params={"aug": name},
            run_id=f"trial{number}",
            trainings=tuple(
                Training(f"run{number}-{seed}", seed, {goal.metric: value}, n_validation=n_validation)
                for seed, value in some.items()
            ),
        )
        for number, (name, some) in enumerate(values.items())
    )
    began = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return Study("s", "run", "flowers", "FINISHED", began, began, "", (goal,), trials)


def told(of: Study) -> str:
    """The sentences at the top of its page."""
    rows = ranking(of)
    return " ".join(summary(of, rows, Winner(rows[0].configuration.trainings[0], rows[0].configuration)))


def single(counts: Mapping[int, int], n_pictures: int) -> dict[int, float]:
    """Counts as accuracies in single precision."""
    return {seed: float(np.float32(count / n_pictures)) for seed, count in counts.items()}


class TestCounts:
    def test_one_picture_in_both_seeds(self, store: Store, repeated: str, counted: str) -> None:
        """Accuracies logged in single precision are compared as counts: one picture more with two seeds is p 0.5.

        Their number is the run's own, although another study of the experiment divided the same pictures otherwise.
        """
        other = read_study(store, find_study(store, repeated))
        assert {one.n_validation for one in other.trials[0].trainings} == {10}
        rows = ranking(read_study(store, find_study(store, counted)))
        assert read_winner(store, rows[0].configuration, ACCURACY).n_validation == 734
        assert [row.configuration.label for row in rows] == ["RandomFlip", "none"]
        assert [row.group for row in rows] == [1, 1]
        assert rows[1].comparison is not None
        assert rows[1].comparison.p == 0.5
        assert rows[1].comparison.difference == 1

    @pytest.mark.parametrize("n_validation", [734, None])
    def test_seven_pictures_in_both_seeds(self, n_validation: int | None) -> None:
        """Equal differences are no certainty, however many pictures, and whether their number is known or not."""
        values = {"a": single({0: 650, 1: 660}, 734), "b": single({0: 643, 1: 653}, 734)}
        rows = ranking(study(values, n_validation=n_validation))
        assert rows[1].comparison is not None
        assert rows[1].comparison.p == 0.5
        assert "cannot be told apart" in told(study(values, n_validation=n_validation))

    @given(st.integers(1, 50_000), st.data())
    def test_exact(self, n_pictures: int, data: st.DataObject) -> None:
        """The count comes back from its share in single precision."""
        counts = {seed: data.draw(st.integers(0, n_pictures)) for seed in range(3)}
        found = configurations(study({"a": single(counts, n_pictures)}, n_validation=n_pictures))
        assert measured(found, ACCURACY.metric) == ([counts], True)

    def test_what_is_no_count(self) -> None:
        """Losses, shares of another number and accuracies of unknown or unlike numbers stay what they are."""
        values = {"a": {0: 0.4501, 1: 0.5502}}
        for of in (study(values, LOSS, 100), study(values, n_validation=100), study(values)):
            assert measured(configurations(of), of.goal.metric) == ([values["a"]], False)


class TestSeeds:
    def test_a_lucky_seed_that_others_lack(self) -> None:
        """Who is better on every common seed leads, although the other's mean is better by a seed of its own."""
        rows = ranking(study(UNEQUAL))
        assert [row.configuration.label for row in rows] == ["fewer", "more"]
        assert rows[1].comparison is not None
        assert rows[1].comparison.difference == pytest.approx(0.01)
        text = told(study(UNEQUAL))
        assert "more has a better mean than fewer, but over other seeds" in text
        assert "more is worse than fewer" in text

    def test_losses(self) -> None:
        """The same where less is better."""
        values = {name: {seed: 1 - value for seed, value in some.items()} for name, some in UNEQUAL.items()}
        assert [row.configuration.label for row in ranking(study(values, LOSS))] == ["fewer", "more"]

    @settings(max_examples=25)
    @given(st.lists(st.lists(st.integers(0, 47), min_size=3, max_size=3), min_size=1, max_size=5))
    def test_common_seeds_are_the_means_order(self, table: list[list[int]]) -> None:
        """With the same seeds for all, the order within a rank is that of the means, ties by the trials' numbers."""
        values = {str(i): single(dict(enumerate(row)), 47) for i, row in enumerate(table)}
        rows = ranking(study(values, n_validation=47))
        keys = [(row.group or 0, -sum(table[int(row.configuration.label)])) for row in rows]
        assert keys == sorted(keys)
        assert "better mean" not in told(study(values, n_validation=47))
