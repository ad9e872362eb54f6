"""The order of a study's configurations, from values as trainings log them."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowersweep.ranking.standings import measured
from flowersweep.report.configurations import configurations
from flowersweep.report.evidence import Goal, State, Study, Training, Trial
from flowersweep.report.leading_run import LeadingRun, read_leading_run
from flowersweep.report.reading import read_study
from flowersweep.report.statistics.ranking import ranking
from flowersweep.report.summary import summary
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store.store import Store

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
    rows = ranking(of).rows
    return " ".join(summary(of, rows, LeadingRun(rows[0].configuration.trainings[0], rows[0].configuration)))


def single(counts: Mapping[int, int], n_pictures: int) -> dict[int, float]:
    """Counts as accuracies in single precision."""
    return {seed: float(np.float32(count / n_pictures)) for seed, count in counts.items()}


class TestCounts:
    @pytest.mark.slow
    def test_one_picture_in_both_seeds(self, store: Store, repeated: str, counted: str) -> None:
        """Accuracies logged in single precision are compared as counts: one picture more with two seeds is p 0.5.

        Their number is the run's own, although another study of the experiment divided the same pictures otherwise.
        """
        other = read_study(store, find_study(store, repeated))
        assert {one.n_validation for one in other.trials[0].trainings} == {10}
        found = read_study(store, find_study(store, counted))
        rows = ranking(found).rows
        assert read_leading_run(store, rows[0].configuration, found).training.n_validation == 734
        assert [row.configuration.label for row in rows] == ["RandomFlip", "none"]
        assert [row.rank for row in rows] == [1, 1]
        assert rows[1].comparison is not None
        assert rows[1].comparison.p == 0.5
        assert rows[1].comparison.difference == 1

    @pytest.mark.parametrize("n_validation", [734, None])
    def test_seven_pictures_in_both_seeds(self, n_validation: int | None) -> None:
        """Equal differences are no certainty, however many pictures, and whether their number is known or not."""
        values = {"a": single({0: 650, 1: 660}, 734), "b": single({0: 643, 1: 653}, 734)}
        rows = ranking(study(values, n_validation=n_validation)).rows
        assert rows[1].comparison is not None
        assert rows[1].comparison.p == 0.5
        assert "are statistically indistinguishable" in told(study(values, n_validation=n_validation))

    @given(st.integers(1, 50_000), st.data())
    def test_exact(self, n_pictures: int, data: st.DataObject) -> None:
        """The count comes back from its share in single precision."""
        counts = {seed: data.draw(st.integers(0, n_pictures)) for seed in range(3)}
        found = configurations(study({"a": single(counts, n_pictures)}, n_validation=n_pictures))
        samples = [one.sample(ACCURACY.metric) for one in found]
        assert measured(samples, ACCURACY.metric, n_pictures) == ([counts], True)

    def test_what_is_no_count(self) -> None:
        """Losses, shares of another number and accuracies of unknown or unlike numbers stay what they are."""
        values = {"a": {0: 0.4501, 1: 0.5502}}
        for goal, n_pictures in ((LOSS, 100), (ACCURACY, 100), (ACCURACY, None)):
            assert measured([values["a"]], goal.metric, n_pictures) == ([values["a"]], False)


class TestSentences:
    def test_the_best_has_seeds_of_its_own(self) -> None:
        """The others share seeds: it is only the best value that can be compared with none."""
        values = {"a": {0: 0.8, 1: 0.81}, "b": {0: 0.7, 1: 0.72}, "lucky": {5: 0.99}}
        assert (
            "lucky shares fewer than 2 seeds with every other configuration, so it was not tested whether it is better than them. "
            "To compare"
        ) in told(study(values))
        assert "share 2 seeds" not in told(study(values))

    def test_no_seeds_in_common(self) -> None:
        """Two runs each are not one run each."""
        apart = told(study({"a": {0: 0.8, 1: 0.81}, "b": {2: 0.7, 3: 0.72}}))
        assert (
            "No two configurations share 2 seeds, so no difference could be tested: with different seeds, the noise"
            in apart
        )
        assert "one run each" not in apart
        assert "with one run each, the noise of the seeds is not known" in told(
            study({"a": {0: 0.8}, "b": {0: 0.7}})
        )

    def test_worse_is_not_rank_one(self) -> None:
        """The table and its ranks judge by the same p, also where some have seeds of their own."""
        near = {"a": {0: 91, 1: 92, 2: 93}, "b": {0: 87, 1: 86, 2: 87}}
        others = {f"c{i}": {10 + i: 40, 20 + i: 45} for i in range(20)}
        rows = ranking(
            study({name: single(some, 100) for name, some in {**near, **others}.items()}, n_validation=100)
        ).rows
        assert rows[1].configuration.label == "b"
        assert rows[1].comparison is not None
        assert rows[1].comparison.apart == (rows[1].rank != 1)

    @given(
        st.lists(st.integers(0, 9), min_size=3, max_size=3),
        st.lists(st.integers(0, 60), min_size=3, max_size=3),
    )
    def test_at_most_is_at_most(self, high: list[int], low: list[int]) -> None:
        """No p of those that are worse is greater than what is said."""
        values = {
            "a": single(dict(enumerate(one + 200 for one in high)), 300),
            "b": single(dict(enumerate(low)), 300),
        }
        of = study(values, n_validation=300)
        said = re.search(r"p at most (0\.\d+)", told(of))
        comparison = ranking(of).rows[1].comparison
        assert comparison is not None
        assert comparison.p is not None
        assert (said is not None) == comparison.apart
        if said is not None:
            assert comparison.p <= float(said.group(1)) <= comparison.p + 1e-4

    def test_what_is_expected_of_new_pictures(self) -> None:
        """Worse, which of a loss is not less."""
        text = told(study({"a": {0: 0.5}}, LOSS, 100))
        assert "expect somewhat worse values on new pictures" in text
        assert "The validation set (100 pictures)" in text

    def test_unequal_validation_sets(self) -> None:
        """Their sizes are told; what one picture is worth is not, as it differs."""
        of = study({"a": {0: 0.5}, "b": {0: 0.4}}, n_validation=100)
        first, second = of.trials
        smaller = replace(second.trainings[0], n_validation=50)
        text = told(replace(of, trials=(first, replace(second, trainings=(smaller,)))))
        assert "Validation sets of 50 and 100 pictures selected" in text
        assert "One picture changes" not in text

    def test_two_goals_have_no_best(self) -> None:
        """It is the Pareto set that was chosen."""
        of = study({"a": {0: 0.5}})
        training = replace(
            of.trials[0].trainings[0], metrics={"best/val_accuracy": 0.5, "best/val_loss": 0.7}
        )
        text = told(
            replace(of, goals=(ACCURACY, LOSS), trials=(replace(of.trials[0], trainings=(training,)),))
        )
        assert "selected the best epoch of every run and the Pareto set" in text
        assert "best configuration" not in text


class TestSeeds:
    def test_a_lucky_seed_that_others_lack(self) -> None:
        """Who is better on every common seed leads, although the other's mean is better by a seed of its own."""
        rows = ranking(study(UNEQUAL)).rows
        assert [row.configuration.label for row in rows] == ["fewer", "more"]
        assert rows[1].comparison is not None
        assert rows[1].comparison.difference == pytest.approx(0.01)
        text = told(study(UNEQUAL))
        assert "more has a better mean than fewer, but over different seeds" in text
        assert "more is worse than fewer" in text

    def test_losses(self) -> None:
        """The same where less is better."""
        values = {name: {seed: 1 - value for seed, value in some.items()} for name, some in UNEQUAL.items()}
        assert [row.configuration.label for row in ranking(study(values, LOSS)).rows] == ["fewer", "more"]

    @settings(max_examples=25)
    @given(st.lists(st.lists(st.integers(0, 47), min_size=3, max_size=3), min_size=1, max_size=5))
    def test_common_seeds_are_the_means_order(self, table: list[list[int]]) -> None:
        """With the same seeds for all, the order within a rank is that of the means, ties by the trials' numbers."""
        values = {str(i): single(dict(enumerate(row)), 47) for i, row in enumerate(table)}
        rows = ranking(study(values, n_validation=47)).rows
        keys = [(row.rank, -sum(table[int(row.configuration.label)])) for row in rows]
        assert keys == sorted(keys)
        assert "better mean" not in told(study(values, n_validation=47))
