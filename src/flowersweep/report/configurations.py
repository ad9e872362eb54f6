"""The configurations of a study: groups of trials that differ only in the seed."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowersweep.config.spelling import short_keys, value_texts
from flowersweep.ranking.standings import configuration_key
from flowersweep.report.evidence import Goal, State, Study, Training, Trial

# A longer label is only used in a table; charts and sentences use the number of the trial instead.
MAX_NAME = 44


@dataclass(frozen=True)
class Configuration:
    """Trials that differ only in the seed.

    Attributes:
        label: The searched values.
        trials: The complete trials, in the order of their numbers.
        trainings: The trainings of the trials, one for each seed, in the order of the seeds.
    """

    label: str
    trials: tuple[Trial, ...]
    trainings: tuple[Training, ...]

    @property
    def name(self) -> str:
        """The label, or the number of the trial if the label is long."""
        return self.label if len(self.label) <= MAX_NAME else f"trial {self.trials[0].number}"

    @property
    def full_name(self) -> str:
        """The name, with the label if they differ."""
        return self.label if self.name == self.label else f"{self.name} ({self.label})"

    def sample(self, metric: str) -> dict[int, float]:
        """The values of a metric by seed."""
        return {one.seed: one.metrics[metric] for one in self.trainings if metric in one.metrics}

    def mean(self, metric: str) -> float:
        """The mean of a metric over the seeds."""
        return statistics.mean(self.sample(metric).values())


def configurations(study: Study) -> list[Configuration]:
    """The configurations with a value of every goal, in the order of their first trials.

    If a configuration was trained more than once with the same seed, the first training counts.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in study.trials:
        if trial.state is State.COMPLETE:
            groups.setdefault(configuration_key(trial.params), []).append(trial)
    goals, keys = study.goals, study.searched()
    heads = short_keys(keys)
    firsts = [trials[0].params for trials in groups.values()]
    texts = {key: value_texts([params.get(key, "") for params in firsts]) for key in keys}
    made = [
        _configuration(
            trials, goals, {key: (heads[key], texts[key][place]) for key in keys if key in trials[0].params}
        )
        for place, trials in enumerate(groups.values())
    ]
    return [one for one in made if one.trainings]


def _configuration(
    trials: Sequence[Trial], goals: Sequence[Goal], told: Mapping[str, tuple[str, str]]
) -> Configuration:
    by_seed: dict[int, Training] = {}
    for training in (training for trial in trials for training in trial.trainings):
        values = [training.metrics.get(goal.metric, math.nan) for goal in goals]
        if all(map(math.isfinite, values)):
            by_seed.setdefault(training.seed, training)
    trainings = tuple(by_seed[seed] for seed in sorted(by_seed))
    return Configuration(_label(trials[0], told), tuple(trials), trainings)


def _label(trial: Trial, values: Mapping[str, tuple[str, str]]) -> str:
    """The searched values, each as a heading and a text by its key; a choice of a group needs no heading."""
    parts = []
    for key, (head, text) in values.items():
        is_choice = "." not in key and isinstance(trial.params[key], str)
        parts.append(text if is_choice else f"{head}={text}")
    if not parts and trial.trainings:
        tags = trial.trainings[0].tags
        parts = [tags[name] for name in ("model", "augmentation") if name in tags]
    return " ".join(parts) or f"trial {trial.number}"
