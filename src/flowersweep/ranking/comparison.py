"""Statistical comparison of configurations by their differences over common seeds.

A seed determines the initial weights and the order of the pictures, so configurations trained with the same seed share its
effect. The effect of each seed is therefore subtracted first, as in a randomized block design. The leader is selected from
the same runs, so a difference to it is tested with the distribution of the range of all configurations (Tukey).
"""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

ALPHA = 0.05
MIN_SEEDS = 2
# With two configurations, Tukey's test of a range is Student's test of a difference.
MIN_COMPARED = 2
# Values are logged in single precision: values with a smaller relative difference are equal.
PRECISION = 1e-6
# The least standard deviation of a count: that of one borderline picture, which is correct in half of the trainings.
BORDERLINE = 0.5

# The values of one configuration by seed.
Sample = Mapping[int, float]


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


@dataclass(frozen=True)
class Fit:
    """Values as the sum of an effect of the configuration and an effect of the seed, by least squares.

    Attributes:
        levels: The effect of each configuration, shape (k,): the mean of its values minus the effects of their seeds.
        variance: The variance of the residuals; 0 without degrees of freedom.
        freedom: The degrees of freedom of the variance.
        seeds: The share of each seed in the values of each configuration, shape (k, n).
        uncertainty: The covariance of the effects of the seeds, in units of the variance, shape (n, n).
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
    """Estimate the effects of configurations and seeds; a configuration may lack seeds.

    Args:
        samples: One or more samples, none of them empty.
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
    """`one` minus `other` for every common seed, in the order of the seeds."""
    return [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]


def resolution(samples: Sequence[Sample], *, counts: bool) -> float:
    """The least standard deviation that is assumed for single values.

    Args:
        samples: The values.
        counts: Whether they are counts of pictures.
    """
    return BORDERLINE if counts else PRECISION * max(abs(v) for one in samples for v in one.values())


def paired_p(gaps: Sequence[float], least: float = 0.0) -> float | None:
    """The two-sided p, from 0 to 1, of Student's paired test that the mean of the differences is 0.

    Accuracies are counts of pictures, so a few differences may be equal by chance, and p would be 0. In that case p is
    the probability that n signs agree, 2 ** (1 - n).

    Args:
        gaps: One finite difference per seed.
        least: The least standard deviation of a single value, which also limits that of the differences.

    Returns:
        The p; None for fewer than two differences.
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
    """The probability that the best and the worst of truly equal configurations differ at least that much (Tukey).

    With two configurations it is the p of Student's test.

    Args:
        difference: The difference of two levels.
        error: The standard error of such a difference.
        n_compared: The number of configurations, 2 or more.
        freedom: The degrees of freedom of the error, 1 or more.
    """
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    if n_compared == MIN_COMPARED:
        from scipy.special import stdtr

        return float(2 * stdtr(freedom, -abs(difference) / error))
    from scipy.stats import studentized_range  # type: ignore[import-untyped] # it ships no types

    p = studentized_range.sf(math.sqrt(2) * abs(difference) / error, n_compared, freedom)
    return float(min(1.0, max(0.0, p)))


@dataclass
class _Limit:
    """Decides whether p is below ALPHA like `range_p`, which is slow, from the differences decided before.

    A larger difference in units of its error, with at least as many degrees of freedom, is significant too.
    """

    known: list[tuple[float, int, float]] = field(default_factory=list)

    def __call__(self, difference: float, error: float, n_compared: int, freedom: int) -> float:
        """A p on the same side of ALPHA as that of `range_p`; `n_compared` must be the same in every call."""
        ratio = abs(difference) / error if error else math.inf
        for other, with_freedom, p in self.known:
            if p < ALPHA and ratio >= other and freedom >= with_freedom:
                return p
            if p >= ALPHA and ratio <= other and freedom <= with_freedom:
                return p
        found = range_p(difference, error, n_compared, freedom)
        if error:
            self.known.append((ratio, freedom, found))
        return found


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
    ps = dict(_tested(samples, resolution(samples, counts=counts), _n_compared(samples)))
    equal = equal_to(samples)
    largest = {index: max(ps.get(other, 1.0) for other in equal[index]) for index in ps}
    return [
        Comparison(len(gaps), statistics.mean(gaps) if gaps else None, largest.get(index))
        for index, gaps in enumerate((differences(leader, other) for other in others), start=1)
    ]


def _tested(
    samples: Sequence[Sample],
    least: float,
    n_compared: int,
    *,
    enough: float = 1.0,
    range_test: Callable[[float, float, int, int], float] = range_p,
) -> Iterator[tuple[int, float]]:
    """Index and p of each sample that has at least two seeds in common with the first one.

    The spread is pooled over the configurations from the leader down to the one in question, so that a bad configuration
    with a large spread does not hide the differences of the others. It is at least the spread of the pair itself, whose
    paired test must agree, because some configurations may vary more than others.

    Args:
        samples: As in `compare`.
        least: The least standard deviation of a value.
        n_compared: The number of configurations from which the first one was selected.
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
    least = resolution(samples, counts=counts)
    n_compared = _n_compared(samples)
    left, group, tested = list(range(len(samples))), 0, len(samples) == 1
    equal, limit = equal_to(samples), _Limit()
    means = [statistics.mean(sample.values()) for sample in samples]
    while left:
        group += 1
        some = [samples[index] for index in left]
        ps = {left[i]: p for i, p in _tested(some, least, n_compared, enough=ALPHA, range_test=limit)}
        tested = tested or bool(ps)
        worse = {i: ps[i] < ALPHA if i in ps else untested_apart(means[left[0]], means[i]) for i in left[1:]}
        apart = [index for index in left if all(worse.get(other, False) for other in equal[index])]
        for index in set(left) - set(apart):
            found[index] = group
        left = apart
    return found if tested else None
