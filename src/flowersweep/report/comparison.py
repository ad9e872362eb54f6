"""Which configurations can be told apart: paired tests over common seeds, corrected for their number.

A seed decides the first weights and the order of the pictures, so two configurations trained with the same seed share
what chance gave them, and their difference says more than the two values alone.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALPHA = 0.05
MIN_SEEDS = 2

# The values of one configuration by seed.
Sample = Mapping[int, float]


@dataclass(frozen=True)
class Comparison:
    """A configuration beside the leading one.

    Attributes:
        n_seeds: How many both were trained with.
        difference: The leader's value minus the other's, their mean over these seeds; None without a common seed.
        p: Of the paired test, two-sided; None with fewer than two common seeds.
        adjusted: The same after Holm's correction.
    """

    n_seeds: int
    difference: float | None = None
    p: float | None = None
    adjusted: float | None = None

    @property
    def apart(self) -> bool:
        """Whether the evidence tells the two apart."""
        return self.adjusted is not None and self.adjusted < ALPHA


def differences(one: Sample, other: Sample) -> list[float]:
    """`one` minus `other` for every seed they share, in the order of the seeds."""
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]


def paired_p(gaps: Sequence[float]) -> float | None:
    """Two-sided p of Student's paired test that the mean of the differences is 0, from 0 to 1.

    Accuracies are counts of pictures, so a few differences may be exactly alike, and then the test would divide by a
    spread of 0 and be certain. The chance that n signs agree, 2 ** (1 - n), is what is known in that case.

    Args:
        gaps: One difference per seed, finite.

    Returns:
        None for fewer than two.
    """
    if len(gaps) < MIN_SEEDS:
        return None
    mean, spread = statistics.mean(gaps), statistics.stdev(gaps)
    # Equal differences of decimal fractions differ in the last bit.
    if spread <= 1e-12 * max(map(abs, gaps), default=0.0):
        return 1.0 if mean == 0 else 2.0 ** (1 - len(gaps))
    from scipy.special import stdtr  # type: ignore[import-untyped] # it ships no types

    t = abs(mean) / (spread / math.sqrt(len(gaps)))
    return float(2 * stdtr(len(gaps) - 1, -t))


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values (1979), in the order given: with them a family of tests errs as rarely as one test."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    adjusted, highest = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - place) * values[index]))
        adjusted[index] = highest
    return adjusted


def compare(leader: Sample, others: Sequence[Sample]) -> list[Comparison]:
    """Each of the others beside the leader; only those with two common seeds are tested and counted by Holm."""
    gaps = [differences(leader, other) for other in others]
    ps = [paired_p(some) for some in gaps]
    adjusted = iter(holm([p for p in ps if p is not None]))
    return [
        Comparison(
            n_seeds=len(some),
            difference=statistics.mean(some) if some else None,
            p=p,
            adjusted=None if p is None else next(adjusted),
        )
        for some, p in zip(gaps, ps, strict=True)
    ]


def groups(samples: Sequence[Sample]) -> list[int] | None:
    """Which samples share a rank, because the evidence does not tell them apart.

    The first sample and all that cannot be told apart from it are group 1. What is left is treated the same way.

    Args:
        samples: The best first.

    Returns:
        A group for each sample, from 1; None if not a single pair could be tested.
    """
    found = [0] * len(samples)
    left, group, tested = list(range(len(samples))), 0, len(samples) == 1
    while left:
        group += 1
        leader, *others = left
        compared = compare(samples[leader], [samples[index] for index in others])
        tested = tested or any(one.p is not None for one in compared)
        left = [index for index, one in zip(others, compared, strict=True) if one.apart]
        for index in {leader, *others} - set(left):
            found[index] = group
    return found if tested else None
