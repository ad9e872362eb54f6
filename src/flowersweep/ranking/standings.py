"""The ranks of the configurations of a study, and a sentence about what they mean."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flowersweep.ranking.comparison import Comparison, compare, equal_to, groups, untestable
from flowersweep.ranking.effects import Sample, fit
from flowersweep.ranking.resolution import CONFIDENCE, least_difference, resolved
from flowersweep.ranking.significance import ALPHA, MIN_SEEDS, PRECISION
from flowersweep.texts import number_text

T = TypeVar("T")

SEED = "seed"
# The objective whose values are shares of the validation pictures.
ACCURACY = "best/val_accuracy"
# Levels with a smaller difference are tied; ties are ordered by means, then by the numbers of the trials.
DECIMALS = 9


@dataclass(frozen=True)
class Standings:
    """The ranking of configurations.

    Attributes:
        order: The indices of the configurations, the best first; those with the same rank are next to each other.
        ranks: The rank of each configuration, from 1, in the order in which they were given.
        note: What equal ranks mean, in one or more sentences; empty for a single configuration.
        comparisons: The comparison of each configuration with the best one, None for the best one itself; empty if they
            were not asked for.
        untested: Whether some share a rank because they could not be compared.
    """

    order: tuple[int, ...]
    ranks: tuple[int, ...]
    note: str
    comparisons: tuple[Comparison | None, ...] = ()
    untested: bool = False


def configuration_key(params: Mapping[str, Any]) -> str:
    """A key that is equal for trials that differ only in the seed."""
    return repr(sorted((name, repr(value)) for name, value in params.items() if name != SEED))


def measured(samples: Sequence[Sample], metric: str, n_pictures: int | None) -> tuple[list[Sample], bool]:
    """The values of each configuration by seed, and whether they are counts of pictures.

    Accuracies are logged in single precision and are converted to counts of pictures, which are exact. They stay fractions
    if the number of validation pictures is not known.

    Args:
        samples: The values.
        metric: The objective.
        n_pictures: The number of validation pictures, if it is the same for all.
    """
    if metric != ACCURACY or not n_pictures:
        return list(samples), False
    counted = [{seed: round(value * n_pictures) for seed, value in one.items()} for one in samples]
    exact = all(
        abs(value - counts[seed] / n_pictures) <= PRECISION
        for sample, counts in zip(samples, counted, strict=True)
        for seed, value in sample.items()
    )
    return (list(counted), True) if exact else (list(samples), False)


def standings(
    samples: Sequence[Sample],
    *,
    metric: str,
    maximize: bool,
    n_pictures: int | None,
    with_comparisons: bool = False,
) -> Standings:
    """Rank configurations by one objective.

    With two or more common seeds, statistically indistinguishable ones share a rank. With one run each, accuracies share
    a rank if the validation pictures are too few to tell them apart. Equal values always share a rank.

    Args:
        samples: The values of each configuration by seed, none of them empty, in the order of the trials' numbers.
        metric: The objective.
        maximize: Whether larger is better.
        n_pictures: The number of validation pictures, if it is known and the same for all.
        with_comparisons: Whether to compute the exact p of each configuration, which takes longer.
    """
    if not samples:
        return Standings((), (), "")
    values, counts = measured(samples, metric, n_pictures)
    sign = -1 if maximize else 1
    levels, means = fit(values).levels.tolist(), [statistics.mean(one.values()) for one in values]
    # By the values without the effects of their seeds: with the same seeds for all, this is the order of the means.
    order = sorted(range(len(values)), key=lambda i: (round(sign * levels[i], DECIMALS), sign * means[i], i))
    ordered = [values[index] for index in order]
    known = n_pictures if counts else None

    def apart(leader: float, other: float) -> bool:
        """Whether the pictures show that a mean is worse than that of the leader."""
        if not known or sign * other <= sign * leader:
            return False
        return resolved(leader / known, other / known, known, len(samples))

    found = groups(ordered, counts=counts, untested_apart=apart)
    untested = found is not None and not known and len(samples) > 1 and untestable(samples)
    if found is not None:
        note = _of_tests(samples, known) if len(samples) > 1 else ""
    elif known:
        found = _grouped([means[index] for index in order], apart)
        note = _of_pictures(means[order[0]] / known, known, len(samples))
    else:
        found = _by_value(ordered)
        note = _VALUES if n_pictures is None else f"{_VALUES} {_REPEAT}"
    compared = [None, *compare(ordered, counts=counts)] if with_comparisons else []
    by_rank = sorted(range(len(order)), key=lambda place: found[place])
    return Standings(
        order=tuple(order[place] for place in by_rank),
        ranks=_as_given(order, found),
        note=note,
        comparisons=_as_given(order, compared) if compared else (),
        untested=untested,
    )


def _as_given(order: Sequence[int], found: Sequence[T]) -> tuple[T, ...]:
    """What was found for the configurations in an order, in the order in which they were given."""
    by_index = dict(zip(order, found, strict=True))
    return tuple(by_index[index] for index in range(len(order)))


def pareto_ranks(points: Sequence[Sequence[float]], maximize: Sequence[bool]) -> list[int]:
    """1 for points for which no other one is at least as good in every objective and better in one; 2 for the others.

    Args:
        points: The values of each objective.
        maximize: Whether larger is better, for each objective.
    """
    signed = [
        tuple(-value if larger else value for value, larger in zip(point, maximize, strict=True))
        for point in points
    ]
    return [
        2
        if any(
            other != mine and all(theirs <= own for theirs, own in zip(other, mine, strict=True))
            for other in signed
        )
        else 1
        for mine in signed
    ]


def fronts(samples: Sequence[Mapping[int, Sequence[float]]], maximize: Sequence[bool]) -> list[int]:
    """The ranks of configurations with several objectives, by the means over their seeds.

    Args:
        samples: The values of all objectives by seed, for each configuration.
        maximize: Whether larger is better, for each objective.
    """
    return pareto_ranks(
        [list(map(statistics.mean, zip(*one.values(), strict=True))) for one in samples], maximize
    )


PARETO = "Rank 1 is the Pareto set: no other trial is at least as good in every objective and better in one."
_VALUES = "Ranked by value: only equal values share a rank."
_REPEAT = "Whether the differences are larger than noise is not known; hydra.sweeper.n_repeats=3 measures it."


def _of_tests(samples: Sequence[Sample], n_pictures: int | None) -> str:
    sizes = sorted({len(sample) for sample in samples})
    seeds = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return (
        f"Values are means ± standard deviations over {seeds} seeds. The same rank means statistically indistinguishable (Tukey's range test and "
        f"paired t-tests over common seeds, limit {ALPHA}).{_of_untested(n_pictures) if untestable(samples) else ''}"
    )


def _of_untested(n_pictures: int | None) -> str:
    few = f" Configurations with fewer than {MIN_SEEDS} common seeds"
    if n_pictures is None:
        return f"{few} could not be compared, and also share a rank."
    return f"{few} share a rank if their difference is within the noise of {n_pictures} validation pictures (Wilson intervals)."


def _of_pictures(best: float, n_pictures: int, n_compared: int) -> str:
    least = least_difference(best, n_pictures, n_compared)
    noise = (
        "all differences are within the noise of so few pictures"
        if least is None
        else f"differences from the best below {number_text(least)} are within the noise of these pictures"
    )
    return (
        f"One of {n_pictures} validation pictures is {number_text(1 / n_pictures)}; {noise} and share a rank (Wilson intervals, "
        f"confidence {CONFIDENCE}, for {n_compared} configurations). The noise of the seed is not known; hydra.sweeper.n_repeats=3 measures it."
    )


def _grouped(means: Sequence[float], apart: Callable[[float, float], bool]) -> list[int]:
    """Groups as in `comparison.groups`: the first and all that are not apart from it, then the first of the rest."""
    found, left, group = [0] * len(means), list(range(len(means))), 0
    while left:
        group += 1
        rest = [index for index in left if apart(means[left[0]], means[index])]
        for index in set(left) - set(rest):
            found[index] = group
        left = rest
    return found


def _by_value(ordered: Sequence[Sample]) -> list[int]:
    """Ranks 1, 2, 3, ... of which equal means share one."""
    firsts = [equal[0] for equal in equal_to(ordered)]
    places = {first: place for place, first in enumerate(dict.fromkeys(firsts), start=1)}
    return [places[first] for first in firsts]
