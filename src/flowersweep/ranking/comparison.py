"""Statistical comparison of configurations by their differences over common seeds.

A seed determines the initial weights and the order of the pictures, so configurations trained with the same seed share its
effect. The effect of each seed is therefore subtracted first, as in a randomized block design. The leader is selected from
the same runs, so a difference to it is tested with the distribution of the range of all configurations (Tukey).
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from flowersweep.ranking.effects import Sample, differences, fit
from flowersweep.ranking.significance import (
    ALPHA,
    MIN_COMPARED,
    MIN_SEEDS,
    Limit,
    least_spread,
    paired_p,
    range_p,
)


@dataclass(frozen=True)
class Comparison:
    """A configuration compared with the leading one.

    Attributes:
        n_seeds: The number of common seeds.
        difference: The mean over these seeds of the leader's value minus the other one; None without a common seed.
        p: The larger p of the range test and the paired test; None with fewer than two common seeds.
    """

    n_seeds: int
    difference: float | None = None
    p: float | None = None

    @property
    def apart(self) -> bool:
        """Whether the difference is significant."""
        return self.p is not None and self.p < ALPHA


def equal_to(samples: Sequence[Sample]) -> list[list[int]]:
    """For each sample the indices of those with exactly the same mean, including its own."""
    means = [statistics.mean(sample.values()) for sample in samples]
    places: dict[float, list[int]] = {}
    for index, mean in enumerate(means):
        places.setdefault(mean, []).append(index)
    return [places[mean] for mean in means]


def compare(samples: Sequence[Sample], *, counts: bool = False) -> list[Comparison]:
    """Compare each other sample with the first one. Those with equal means get the largest of their p.

    Args:
        samples: The samples in the order of their levels, the best first.
        counts: Whether the values are counts of pictures.
    """
    leader, *others = samples
    ps = dict(_tested(samples, _n_compared(samples), counts=counts))
    equal = equal_to(samples)
    largest = {index: max(ps.get(other, 1.0) for other in equal[index]) for index in ps}
    return [
        Comparison(len(gaps), statistics.mean(gaps) if gaps else None, largest.get(index))
        for index, gaps in enumerate((differences(leader, other) for other in others), start=1)
    ]


def _tested(
    samples: Sequence[Sample],
    n_compared: int,
    *,
    counts: bool,
    enough: float = 1.0,
    range_test: Callable[[float, float, int, int], float] = range_p,
) -> Iterator[tuple[int, float]]:
    """Index and p of each sample that has at least two seeds in common with the first one.

    The spread is pooled over the configurations from the leader down to the one in question, so that a bad configuration
    with a large spread does not hide the differences of the others. It is at least the spread of the pair itself, whose
    paired test must agree, because some configurations may vary more than others.

    Args:
        samples: As in `compare`.
        n_compared: The number of configurations from which the first one was selected.
        counts: Whether the values are counts of pictures.
        enough: A p that is at least this large is not computed more exactly, which saves time.
        range_test: Computes the p of the range test, or one on the same side of a limit.
    """
    leader = samples[0]
    testable = [
        0,
        *(i for i, one in enumerate(samples) if i and len(leader.keys() & one.keys()) >= MIN_SEEDS),
    ]
    for place in range(1, len(testable)):
        gaps = differences(leader, samples[testable[place]])
        # Of this pair: the rounding of a value that diverged says nothing about the others.
        least = least_spread([leader, samples[testable[place]]], counts=counts)
        p = paired_p(gaps, least) or 0.0
        if p < enough:
            found = fit([samples[index] for index in testable[: place + 1]])
            difference = float(found.levels[0] - found.levels[place])
            variance = max(found.variance, statistics.variance(gaps) / 2, least**2)
            error = math.sqrt(variance * found.factor(0, place))
            # Student's p is never larger than that of the range test and takes no integration.
            p = max(p, range_p(difference, error, MIN_COMPARED, found.freedom))
            if n_compared > MIN_COMPARED and p < enough:
                p = max(p, range_test(difference, error, n_compared, found.freedom))
            # A sample that leads only because of other seeds is not better.
            if statistics.mean(gaps) * difference <= 0:
                p = 1.0
        yield testable[place], p


def _n_compared(samples: Sequence[Sample]) -> int:
    """The number of configurations with enough seeds for a comparison."""
    return sum(len(sample) >= MIN_SEEDS for sample in samples)


def untestable(samples: Sequence[Sample]) -> bool:
    """Whether some samples have too few seeds in common for a test."""
    seeds = {frozenset(sample) for sample in samples}
    return any(len(one & other) < MIN_SEEDS for one in seeds for other in seeds)


def groups(
    samples: Sequence[Sample],
    *,
    counts: bool = False,
    untested_apart: Callable[[float, float], bool] = lambda *_: False,
) -> list[int] | None:
    """Groups of samples that share a rank because they are statistically indistinguishable.

    The first sample and all that are indistinguishable from it are group 1. The remaining ones are treated in the same way.
    Samples with exactly equal means are always in the same group.

    Args:
        samples: The samples in the order of their levels, the best first.
        counts: Whether the values are counts of pictures.
        untested_apart: Whether a mean is worse than that of the first of a group, for samples with too few common seeds.

    Returns:
        The group of each sample, counted from 1; None if no pair could be tested.
    """
    found = [0] * len(samples)
    n_compared = _n_compared(samples)
    left, group, tested = list(range(len(samples))), 0, len(samples) == 1
    equal, limit = equal_to(samples), Limit()
    means = [statistics.mean(sample.values()) for sample in samples]
    while left:
        group += 1
        some = [samples[index] for index in left]
        ps = {left[i]: p for i, p in _tested(some, n_compared, counts=counts, enough=ALPHA, range_test=limit)}
        tested = tested or bool(ps)
        worse = {i: ps[i] < ALPHA if i in ps else untested_apart(means[left[0]], means[i]) for i in left[1:]}
        apart = [index for index in left if all(worse.get(other, False) for other in equal[index])]
        for index in set(left) - set(apart):
            found[index] = group
        left = apart
    return found if tested else None
