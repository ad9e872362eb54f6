"""The ranking of the configurations of a study, and the sources of its numbers."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowersweep.report.configurations import Configuration, configurations
from flowersweep.report.evidence import ACCURACY, Goal, Study
from flowersweep.report.statistics.comparison import PRECISION, Comparison, Sample, compare, fit, groups
from flowersweep.report.statistics.published import Published, published

TEST_METRIC = "test/accuracy"
# Levels with a smaller difference are tied; ties are ordered by the numbers of the trials.
DECIMALS = 9
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.mean,
    "sd": statistics.stdev,
    "min": min,
    "max": max,
    "sum": sum,
}


@dataclass(frozen=True)
class Number:
    """A number and its source.

    Attributes:
        value: The unrounded number.
        runs: The ids of the runs.
        metric: The metric of these runs.
        statistic: The statistic computed from them: value (of one run) or a name of STATISTICS.
    """

    value: float
    runs: tuple[str, ...]
    metric: str
    statistic: str = "value"

    @property
    def text(self) -> str:
        """The number as it is shown."""
        return shown(self.value)

    @property
    def exact(self) -> str:
        """The number with all its digits."""
        return repr(self.value)


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        configuration: The configuration.
        group: Configurations of one group are statistically indistinguishable; None if nothing could be tested.
        in_front: Whether it is in the Pareto set; with one goal, whether it is the leader.
        comparison: The comparison with the leader; None for the leader itself, and with several goals.
        published: The article's result for the same configuration, if it has one.
    """

    configuration: Configuration
    group: int | None
    in_front: bool
    comparison: Comparison | None = None
    published: Published | None = None

    def number(self, metric: str, statistic: str) -> Number | None:
        """A statistic of a metric over the seeds; None if a run does not have it, or for the spread of one run."""
        trainings = self.configuration.trainings
        values = [one.metrics[metric] for one in trainings if metric in one.metrics]
        if len(values) < len(trainings) or (statistic == "sd" and len(values) < 2):
            return None
        runs = tuple(one.run_id for one in trainings)
        return Number(float(STATISTICS[statistic](values)), runs, metric, statistic)

    def singles(self, metric: str) -> list[tuple[int, Number]]:
        """The seed and the value of each run."""
        return [
            (one.seed, Number(one.metrics[metric], (one.run_id,), metric))
            for one in self.configuration.trainings
        ]


def ranking(study: Study) -> list[Row]:
    """The configurations of a study, the best first; indistinguishable ones are next to each other."""
    found = configurations(study)
    figures = [published(one.trainings[0], study.class_names, study.goal.metric) for one in found]
    front = pareto_front(found, study.goals)
    if len(study.goals) > 1:
        rows = [
            Row(one, None, one in front, None, figure) for one, figure in zip(found, figures, strict=True)
        ]
        return sorted(rows, key=lambda row: not row.in_front)
    if not found:
        return []
    samples, counts = measured(found, study.goal.metric)
    levels, sign = fit(samples).levels.tolist(), study.goal.sign()
    # By the values without the effects of their seeds: with the same seeds for all, this is the order of the means.
    order = sorted(range(len(found)), key=lambda i: (round(sign * levels[i], DECIMALS), i))
    samples = [samples[index] for index in order]
    together: Sequence[int | None] = groups(samples, counts=counts) or [None] * len(found)
    compared: list[Comparison | None] = [None, *compare(samples, counts=counts)]
    rows = [
        Row(found[index], group, index == order[0], beside, figures[index])
        for index, group, beside in zip(order, together, compared, strict=True)
    ]
    return sorted(rows, key=lambda row: row.group or 0)


def measured(found: Sequence[Configuration], metric: str) -> tuple[list[Sample], bool]:
    """The values of each configuration by seed, and whether they are counts of pictures.

    Accuracies are logged in single precision and are converted to counts of pictures, which are exact. They stay fractions
    if the numbers of validation pictures differ or were not recorded.
    """
    samples = [one.sample(metric) for one in found]
    sizes = {training.n_validation for one in found for training in one.trainings}
    (size,) = sizes if len(sizes) == 1 else (None,)
    if metric != ACCURACY or not size:
        return list(samples), False
    counted = [{seed: round(value * size) for seed, value in sample.items()} for sample in samples]
    exact = all(
        abs(value - counts[seed] / size) <= PRECISION
        for sample, counts in zip(samples, counted, strict=True)
        for seed, value in sample.items()
    )
    return (list(counted), True) if exact else (list(samples), False)


def pareto_front(found: Sequence[Configuration], goals: Sequence[Goal]) -> list[Configuration]:
    """The configurations for which no other one is at least as good in every goal and better in one."""
    points = [tuple(goal.sign() * one.mean(goal.metric) for goal in goals) for one in found]
    return [
        one
        for one, mine in zip(found, points, strict=True)
        if not any(
            other != mine and all(theirs <= own for theirs, own in zip(other, mine, strict=True))
            for other in points
        )
    ]


def shown(value: float) -> str:
    """A number as text: integers without a decimal point, otherwise four decimals."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.4f}"
