"""The probability of a difference between configurations that are truly equal: Student's paired test and Tukey's range test."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowersweep.ranking.effects import Sample

ALPHA = 0.05
MIN_SEEDS = 2
# With two configurations, Tukey's test of a range is Student's test of a difference.
MIN_COMPARED = 2
# Values are logged in single precision: values with a smaller relative difference are equal.
PRECISION = 1e-6
# The least standard deviation of a count: that of one borderline picture, which is correct in half of the trainings.
BORDERLINE = 0.5


def least_spread(samples: Sequence[Sample], *, counts: bool) -> float:
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
class Limit:
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
