"""Effects of configurations and of seeds on the values of runs, by least squares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# The values of one configuration by seed.
Sample = Mapping[int, float]


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
