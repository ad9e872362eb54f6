"""Which configurations can be distinguished: differences over common seeds, beside what seeds alone would make of them.

A seed decides the first weights and the order of the pictures, so configurations trained with the same seed share what
chance gave them. What a seed is worth is therefore taken off first, as in a randomized block design. The leader is chosen
from the same runs, so the difference to it is tested as the range of all configurations is, by Tukey's distribution.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ALPHA = 0.05
MIN_SEEDS = 2
# Values are logged in single precision: what differs by less than this part of them is alike.
PRECISION = 1e-6
# No count of pictures is known better than that: a picture on the border, right in every other training, varies so much.
BORDERLINE = 0.5

# The values of one configuration by seed.
Sample = Mapping[int, float]


@dataclass(frozen=True)
class Comparison:
    """A configuration beside the leading one.

    Attributes:
        n_seeds: How many both were trained with.
        difference: The leader's value minus the other's, their mean over these seeds; None without a common seed.
        p: The larger one of the range test's and the paired test's; None with fewer than two common seeds.
    """

    n_seeds: int
    difference: float | None = None
    p: float | None = None

    @property
    def apart(self) -> bool:
        """Whether the evidence distinguishes the two."""
        return self.p is not None and self.p < ALPHA


@dataclass(frozen=True)
class Fit:
    """Values as the sum of what the configuration and what the seed is worth, by least squares.

    Attributes:
        levels: What each configuration is worth, shape (k,): the mean of its values less their seeds'.
        variance: Of what is left over; 0 if nothing can be left over.
        freedom: The degrees of freedom of the variance.
        seeds: Which share of a configuration's values has which seed, shape (k, n).
        uncertainty: The covariance of the seeds' worth, in units of the variance, shape (n, n).
    """

    levels: npt.NDArray[np.float64]
    variance: float
    freedom: int
    seeds: npt.NDArray[np.float64]
    uncertainty: npt.NDArray[np.float64]

    def factor(self, one: int, other: int) -> float:
        """The variance of the difference of two levels, in units of the variance; 2 / n if all have the same n seeds."""
        apart = self.seeds[one] - self.seeds[other]
        inverse_counts = np.square(self.seeds[[one, other]]).sum()  # n shares of 1 / n each
        return float(inverse_counts + apart @ self.uncertainty @ apart)


def fit(samples: Sequence[Sample]) -> Fit:
    """Find what configurations and seeds are worth; a configuration may lack seeds.

    Args:
        samples: One or more, none of them empty.
    """
    seeds = sorted({seed for sample in samples for seed in sample})
    there = np.array([[seed in sample for seed in seeds] for sample in samples], dtype=float)
    values = np.array([[sample.get(seed, 0.0) for seed in seeds] for sample in samples], dtype=float)
    shares = there / there.sum(axis=1, keepdims=True)
    # The normal equations of the seeds, from which those of the configurations are eliminated.
    matrix = np.diag(there.sum(axis=0)) - there.T @ shares
    centred = there * (values - (shares * values).sum(axis=1, keepdims=True))
    uncertainty = np.linalg.pinv(matrix, hermitian=True)
    worth = uncertainty @ centred.sum(axis=0)
    levels = (shares * (values - worth)).sum(axis=1)
    left_over = there * (values - worth - levels[:, None])
    freedom = int(there.sum()) - len(samples) - int(np.linalg.matrix_rank(matrix, hermitian=True))
    variance = float(np.square(left_over).sum() / freedom) if freedom else 0.0
    return Fit(levels, variance, freedom, shares, uncertainty)


def differences(one: Sample, other: Sample) -> list[float]:
    """`one` minus `other` for every seed they share, in the order of the seeds."""
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]


def resolution(samples: Sequence[Sample], *, counts: bool) -> float:
    """The least standard deviation that single values can be thought to have.

    Args:
        samples: The values.
        counts: Whether they are counts of pictures.
    """
    return BORDERLINE if counts else PRECISION * max(abs(v) for one in samples for v in one.values())


def paired_p(gaps: Sequence[float], least: float = 0.0) -> float | None:
    """Two-sided p of Student's paired test that the mean of the differences is 0, from 0 to 1.

    Accuracies are counts of pictures, so a few differences may be alike by chance, and then the test would be certain.
    The chance that n signs agree, 2 ** (1 - n), is what is known in that case.

    Args:
        gaps: One difference per seed, finite.
        least: The least standard deviation of a single value; the spread of differences is not taken for less than its.

    Returns:
        None for fewer than two.
    """
    if len(gaps) < MIN_SEEDS:
        return None
    mean, spread = statistics.mean(gaps), statistics.stdev(gaps)
    if mean == 0:
        return 1.0
    alike = 2.0 ** (1 - len(gaps)) if spread <= least else 0.0
    error = max(spread, math.sqrt(2) * least) / math.sqrt(len(gaps))
    if error == 0:
        return alike
    from scipy.special import stdtr  # type: ignore[import-untyped] # it ships no types

    return max(alike, float(2 * stdtr(len(gaps) - 1, -abs(mean) / error)))


def range_p(difference: float, error: float, n_compared: int, freedom: int) -> float:
    """The chance that the best and the worst of configurations that are in truth alike differ that much (Tukey).

    With two configurations it is the p of Student's test.

    Args:
        difference: Of two levels.
        error: The standard error of such a difference.
        n_compared: How many configurations there are, 2 or more.
        freedom: The degrees of freedom of the error, 1 or more.
    """
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    from scipy.stats import studentized_range  # type: ignore[import-untyped] # it ships no types

    p = studentized_range.sf(math.sqrt(2) * abs(difference) / error, n_compared, freedom)
    return float(min(1.0, max(0.0, p)))


def compare(samples: Sequence[Sample], *, counts: bool = False) -> list[Comparison]:
    """Each sample but the first beside the first.

    Args:
        samples: The best first, in the order of their levels.
        counts: Whether the values are counts of pictures.
    """
    leader, *others = samples
    ps = dict(_tested(samples, resolution(samples, counts=counts), _n_compared(samples)))
    return [
        Comparison(len(gaps), statistics.mean(gaps) if gaps else None, ps.get(index))
        for index, gaps in enumerate((differences(leader, other) for other in others), start=1)
    ]


def _tested(
    samples: Sequence[Sample], least: float, n_compared: int, *, enough: float = 1.0
) -> Iterator[tuple[int, float]]:
    """Index and p of each sample that has two seeds in common with the first.

    The spread is that of the configurations from the leader down to the one in question, so that one that went badly and
    scatters widely does not hide the differences of the others. Nor is it taken for less than that of the pair itself,
    whose own test must agree: some configurations may scatter more than others.

    Args:
        samples: As `compare` takes them.
        least: The least standard deviation of a value.
        n_compared: Of how many configurations the first was chosen.
        enough: Once a p is known to be so large it need not be known better, which saves time.
    """
    leader = samples[0]
    testable = [
        0,
        *(i for i, one in enumerate(samples) if i and len(leader.keys() & one.keys()) >= MIN_SEEDS),
    ]
    for place in range(1, len(testable)):
        gaps = differences(leader, samples[testable[place]])
        found = fit([samples[index] for index in testable[: place + 1]])
        difference = float(found.levels[0] - found.levels[place])
        # Who leads by the other seeds only is not better.
        p = (paired_p(gaps, least) or 0.0) if statistics.mean(gaps) * difference > 0 else 1.0
        if p < enough:
            variance = max(found.variance, statistics.variance(gaps) / 2, least**2)
            error = math.sqrt(variance * found.factor(0, place))
            p = max(p, range_p(difference, error, n_compared, found.freedom))
        yield testable[place], p


def _n_compared(samples: Sequence[Sample]) -> int:
    """Of how many configurations the leader is the best, as far as any can be compared."""
    return sum(len(sample) >= MIN_SEEDS for sample in samples)


def groups(samples: Sequence[Sample], *, counts: bool = False) -> list[int] | None:
    """Which samples share a rank, because the evidence does not distinguish them.

    The first sample and all that cannot be distinguished from it are group 1. What is left is treated the same way.

    Args:
        samples: The best first, in the order of their levels.
        counts: Whether the values are counts of pictures.

    Returns:
        A group for each sample, from 1; None if not a single pair could be tested.
    """
    found = [0] * len(samples)
    least = resolution(samples, counts=counts)
    n_compared = _n_compared(samples)
    left, group, tested = list(range(len(samples))), 0, len(samples) == 1
    while left:
        group += 1
        some = [samples[index] for index in left]
        ps = {left[i]: p for i, p in _tested(some, least, n_compared, enough=ALPHA)}
        tested = tested or bool(ps)
        apart = [index for index in left if ps.get(index, 1.0) < ALPHA]
        for index in set(left) - set(apart):
            found[index] = group
        left = apart
    return found if tested else None
