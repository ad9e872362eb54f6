"""Which differences of single accuracies the number of validation pictures can show."""

import functools
import math

CONFIDENCE = 0.95


def wilson(share: float, n_pictures: int, z: float) -> tuple[float, float]:
    """The interval of Wilson's score test for a share of correct pictures.

    Args:
        share: The observed share, 0..1.
        n_pictures: The number of pictures, 1 or more.
        z: The quantile of the normal distribution: 1.96 for 95 %.
    """
    shrink = 1 + z**2 / n_pictures
    middle = (share + z**2 / (2 * n_pictures)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / n_pictures + (z / (2 * n_pictures)) ** 2)
    return middle - half, middle + half


@functools.lru_cache
def quantile(n_compared: int) -> float:
    """The z with which the best and the worst of truly equal configurations overlap in 19 of 20 studies (Tukey).

    Args:
        n_compared: The number of configurations, 2 or more; 1.96 for two.
    """
    from scipy.stats import studentized_range  # type: ignore[import-untyped] # it ships no types

    return float(studentized_range.ppf(CONFIDENCE, n_compared, math.inf)) / math.sqrt(2)


def resolved(one: float, other: float, n_pictures: int, n_compared: int) -> bool:
    """Whether two shares of correct pictures differ by more than pictures that were drawn by chance (Newcombe, 1998).

    Args:
        one: A share, 0..1.
        other: Another share.
        n_pictures: The number of pictures of each.
        n_compared: The number of configurations that they were selected from, 2 or more.
    """
    low, high = sorted((one, other))
    z = quantile(n_compared)
    return high - low > math.hypot(high - wilson(high, n_pictures, z)[0], wilson(low, n_pictures, z)[1] - low)


def least_difference(best: float, n_pictures: int, n_compared: int) -> float | None:
    """The least difference from an accuracy, in whole pictures, that is resolved; None if even 0 is not.

    Args:
        best: The accuracy, 0..1.
        n_pictures: The number of pictures.
        n_compared: The number of configurations, 2 or more.
    """
    low, high = 0, math.floor(best * n_pictures + 0.5)
    if not resolved(best, best - high / n_pictures, n_pictures, n_compared):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if resolved(best, max(0.0, best - middle / n_pictures), n_pictures, n_compared):
            high = middle
        else:
            low = middle
    return high / n_pictures
