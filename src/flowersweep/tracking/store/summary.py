"""The numbers by which runs are compared in MLflow's table: mean, standard deviation and number of seeds."""

import math
import statistics
from collections.abc import Sequence

MEAN, DEVIATION, N_SEEDS = "mean", "sd", "n"
# The table is sorted by this one: larger is better, whatever the objective is.
ORDER = "order"
# Of the finished trials of a study; equal for trials that cannot be told apart.
RANK = "rank"


def summary(values: Sequence[float], *, maximize: bool) -> dict[str, float]:
    """The metrics of a row, with few digits: MLflow shows numbers as they are stored.

    The exact values are those of the objective's own metric.

    Args:
        values: The objective for each seed; at least one.
        maximize: Whether larger is better.
    """
    mean = statistics.mean(values)
    row = {MEAN: rounded(mean), N_SEEDS: float(len(values)), ORDER: mean if maximize else -mean}
    return row if len(values) == 1 else {**row, DEVIATION: rounded(statistics.stdev(values), 2)}


def study_summary(values: Sequence[float], *, maximize: bool) -> dict[str, float]:
    """The metrics of a study's row, which precedes that of its best trial.

    Args:
        values: The objective of the best trial for each seed.
        maximize: Whether larger is better.
    """
    row = summary(values, maximize=maximize)
    return {**row, ORDER: math.nextafter(row[ORDER], math.inf)}


def rounded(value: float, digits: int = 4) -> float:
    """A number with so many significant digits; one with more digits before the point keeps them, and only 1 becomes 1."""
    while abs(value) < 1 and abs(float(f"{value:.{digits}g}")) == 1:
        digits += 1
    return float(f"{value:.0f}") if abs(value) >= 10**digits else float(f"{value:.{digits}g}")
