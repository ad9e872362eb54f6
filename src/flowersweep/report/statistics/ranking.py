"""The ranking of the configurations of a study, and the sources of its numbers."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowersweep.ranking.comparison import Comparison
from flowersweep.ranking.standings import PARETO, fronts, standings
from flowersweep.report.configurations import Configuration, configurations
from flowersweep.report.evidence import Study
from flowersweep.report.statistics.published import Published, published
from flowersweep.texts import number_text

TEST_METRIC = "test/accuracy"
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
        return number_text(self.value)

    @property
    def exact(self) -> str:
        """The number with all its digits."""
        return repr(self.value)


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        configuration: The configuration.
        rank: From 1, equal for configurations that cannot be distinguished; with several goals 1 for the Pareto set.
        in_front: Whether it is in the Pareto set; with one goal, whether it is the leader.
        comparison: The comparison with the leader; None for the leader itself, and with several goals.
        published: The published study's result for the same configuration, if it has one.
    """

    configuration: Configuration
    rank: int
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


@dataclass(frozen=True)
class Ranking:
    """The configurations of a study.

    Attributes:
        rows: The best first; those with the same rank are next to each other.
        note: What equal ranks mean, as on the terminal and in MLflow; empty if there is nothing to compare.
    """

    rows: list[Row]
    note: str


def ranking(study: Study) -> Ranking:
    """Rank the configurations of a study."""
    found = configurations(study)
    figures = [published(one.trainings[0], study.class_names, study.goal.metric) for one in found]
    if len(study.goals) > 1:
        points = [
            {run.seed: [run.metrics[goal.metric] for goal in study.goals] for run in one.trainings}
            for one in found
        ]
        ranks = fronts(points, [goal.maximize for goal in study.goals])
        rows = [
            Row(one, rank, rank == 1, None, figure)
            for one, rank, figure in zip(found, ranks, figures, strict=True)
        ]
        goal = study.goal
        rows.sort(key=lambda row: (row.rank, goal.sign() * row.configuration.mean(goal.metric)))
        return Ranking(rows, PARETO if rows else "")
    sizes = {training.n_validation for one in found for training in one.trainings}
    standing = standings(
        [one.sample(study.goal.metric) for one in found],
        metric=study.goal.metric,
        maximize=study.goal.maximize,
        n_pictures=sizes.pop() if len(sizes) == 1 else None,
        with_comparisons=True,
    )
    rows = [
        Row(found[i], standing.ranks[i], i == standing.order[0], standing.comparisons[i], figures[i])
        for i in standing.order
    ]
    return Ranking(rows, standing.note)
