"""The ranks of configurations, and what they are said to mean."""

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowersweep.ranking.comparison import compare, groups
from flowersweep.ranking.standings import (
    ACCURACY,
    Standings,
    configuration_key,
    fronts,
    pareto_ranks,
    standings,
)

FEW = st.integers(0, 6)


def ranked(*values: dict[int, float], n_pictures: int | None = None, metric: str = "value") -> Standings:
    """The standings of configurations whose larger values are better."""
    return standings(list(values), metric=metric, maximize=True, n_pictures=n_pictures)


@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=8), maximize=st.booleans())
def test_only_equal_values_share_a_rank_if_nothing_else_is_known(
    *, values: list[int], maximize: bool
) -> None:
    """One value each: ranks 1, 2, 3, ... by value."""
    found = standings([{0: float(v)} for v in values], metric="value", maximize=maximize, n_pictures=None)
    distinct = sorted(set(values), reverse=maximize)
    assert list(found.ranks) == [distinct.index(value) + 1 for value in values]
    assert [values[index] for index in found.order] == sorted(values, reverse=maximize)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.dictionaries(st.integers(0, 3), FEW, min_size=1, max_size=4), min_size=2, max_size=5),
    st.sampled_from([6, None]),
)
def test_equal_values_share_a_rank(values: list[dict[int, int]], n_pictures: int | None) -> None:
    """Whatever seeds they have and however they were compared; ranks are 1, 2, 3 without gaps, and sorted."""
    samples = [{seed: count / 6 for seed, count in one.items()} for one in values]
    found = ranked(*samples, n_pictures=n_pictures, metric=ACCURACY)
    by_mean: dict[float, set[int]] = {}
    for sample, rank in zip(values, found.ranks, strict=True):
        by_mean.setdefault(statistics.mean(sample.values()), set()).add(rank)
    if n_pictures is not None:
        assert all(len(ranks) == 1 for ranks in by_mean.values())
    in_order = [found.ranks[index] for index in found.order]
    assert in_order == sorted(in_order)
    assert set(in_order) == set(range(1, max(in_order) + 1))
    assert sorted(found.order) == list(range(len(values)))


def test_equal_means_with_another_spread() -> None:
    """A steady configuration is not worse than one that varies and has the same mean; both share its rank and its p."""
    samples = [
        {0: 700.0, 1: 701.0, 2: 702.0, 3: 701.0},
        {0: 640.0, 1: 720.0, 2: 610.0, 3: 710.0},
        {0: 669.0, 1: 671.0, 2: 671.0, 3: 669.0},
    ]
    assert groups([samples[0], samples[2]]) == [1, 2]
    assert groups(samples) == [1, 1, 1]
    first, second = compare(samples)
    assert first.p == second.p
    assert not second.apart


def test_pictures_that_are_too_few() -> None:
    """Three pictures tell nothing apart, which is said."""
    found = ranked(*({0: count / 3} for count in (3, 0, 1, 2, 2)), n_pictures=3, metric=ACCURACY)
    assert set(found.ranks) == {1}
    assert "all differences are within the noise of so few pictures and share a rank" in found.note


def test_a_loss_of_one_run_each() -> None:
    """Pictures are known, but not what they tell of a loss: it is ranked by value, and repeats are advised."""
    found = standings([{0: 0.5}, {0: 0.4}], metric="best/val_loss", maximize=False, n_pictures=734)
    assert found.ranks == (2, 1)
    assert found.note == (
        "Ranked by value: only equal values share a rank. Whether the differences are larger than noise is not known; "
        "hydra.sweeper.n_repeats=3 measures it."
    )


def test_one_and_none() -> None:
    """A single configuration has rank 1 and nothing to explain; of none there is nothing."""
    assert ranked({0: 0.5, 1: 0.6}) == Standings((0,), (1,), "")
    assert ranked() == Standings((), (), "")


def test_levels_decide_between_runs_with_one_common_seed() -> None:
    """With the same seed the first one is better; the mean of the other one is better because of a seed of its own."""
    found = ranked({0: 500 / 734}, {0: 400 / 734, 1: 1.0}, n_pictures=734, metric=ACCURACY)
    assert (found.order, found.ranks) == ((0, 1), (1, 1))
    assert "differences from the best below 0.0" in found.note


def test_the_pareto_set_is_one_of_means_over_seeds() -> None:
    """Each seed of a configuration counts once."""
    samples = [{0: (0.7, 10.0), 1: (0.9, 30.0)}, {0: (0.8, 25.0)}, {5: (0.9, 20.0)}]
    assert fronts(samples, [True, False]) == [2, 2, 1]


def test_the_pareto_set() -> None:
    """Points that no other one beats have rank 1; equal ones do not beat each other."""
    points = [(0.5, 10.0), (0.9, 30.0), (0.4, 20.0), (0.5, 10.0)]
    assert pareto_ranks(points, [True, False]) == [1, 1, 2, 1]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [({"a": 1, "seed": 0}, {"seed": 5, "a": 1}, True), ({"a": 1}, {"a": "1"}, False)],
)
def test_configurations(one: dict[str, object], other: dict[str, object], *, equal: bool) -> None:
    """Trials that differ only in the seed are one configuration; a text is not the number it looks like."""
    assert (configuration_key(one) == configuration_key(other)) is equal


def counted_seeds(*counts: int) -> dict[int, float]:
    """Accuracies on 734 pictures for the seeds 0, 1, ..."""
    return {seed: count / 734 for seed, count in enumerate(counts)}


PRUNED_SEEDS = (counted_seeds(691, 690, 692), counted_seeds(300), counted_seeds(641, 639, 643))


def test_too_few_common_seeds_are_compared_by_their_pictures() -> None:
    """A configuration of which one seed was not pruned shares the rank of the best only if the pictures allow it."""
    found = ranked(*PRUNED_SEEDS, n_pictures=734, metric=ACCURACY)
    assert (found.ranks, found.order, found.untested) == ((1, 3, 2), (0, 2, 1), False)
    assert found.note.endswith(
        "Configurations with fewer than 2 common seeds share a rank if their difference is within the noise of 734 validation "
        "pictures (Wilson intervals)."
    )
    close = ranked(PRUNED_SEEDS[0], counted_seeds(685), PRUNED_SEEDS[2], n_pictures=734, metric=ACCURACY)
    assert close.ranks == (1, 1, 2)
    # The first one by the common seed has a worse mean, which is no evidence against the second one.
    low = {0: 0.0, 1: 0.5, 2: 0.5}
    lucky = ranked(
        {0: 400 / 734, 1: 1.0, 2: 1.0}, counted_seeds(500), low, low, n_pictures=734, metric=ACCURACY
    )
    assert (lucky.ranks, lucky.order) == ((1, 1, 2, 2), (1, 0, 2, 3))


def test_what_could_not_be_compared_is_said() -> None:
    """Losses with fewer than two common seeds share the rank of the best, and the note says that they were not tested."""
    losses = [{0: 0.1, 1: 0.11, 2: 0.1}, {0: 5.0}, {0: 0.9, 1: 0.92, 2: 0.91}]
    found = standings(losses, metric="best/val_loss", maximize=False, n_pictures=734)
    assert (found.ranks, found.untested) == ((1, 1, 2), True)
    assert found.note.endswith(
        "Configurations with fewer than 2 common seeds could not be compared, and also share a rank."
    )
    tested = standings([losses[0], losses[2]], metric="best/val_loss", maximize=False, n_pictures=734)
    assert not tested.untested
    assert "could not be compared" not in tested.note
