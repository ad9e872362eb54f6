"""What a study has left behind, as plain values: trials, the trainings of each, and the configurations they share."""

import datetime as dt
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flowersweep.config.spelling import short_keys, value_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SEED = "seed"
# The goal whose values are shares of the validation pictures.
ACCURACY = "best/val_accuracy"
# A longer label stands in a table; a chart and a sentence name the trial instead.
MAX_NAME = 44

Curve = tuple[tuple[int, float], ...]


class State(StrEnum):
    """What became of a trial."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Goal:
    """What a study optimizes.

    Attributes:
        metric: As runs log it, best/val_accuracy for instance.
        maximize: Whether more of it is better.
    """

    metric: str
    maximize: bool

    @property
    def words(self) -> str:
        """As one says it."""
        return f"{'maximize' if self.maximize else 'minimize'} {self.metric}"

    @property
    def monitor(self) -> str:
        """The metric's name without its prefix; where there is a prefix, that of an epoch's value."""
        return self.metric.rpartition("/")[2]

    def sign(self) -> int:
        """What a value is multiplied with so that less is better."""
        return -1 if self.maximize else 1


@dataclass(frozen=True)
class Training:
    """One run in which a network was trained.

    Attributes:
        run_id: In MLflow.
        seed: Of the training.
        metrics: The latest value of each.
        curves: (step, value) of each epoch by metric, in order.
        settings: The configuration as dotted keys and texts.
        tags: Of the run.
        n_validation: How many pictures its validation accuracy is a share of; None if that was not recorded.
    """

    run_id: str
    seed: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    n_validation: int | None = None

    @property
    def epochs(self) -> int:
        """How many were trained, also if it ended early."""
        return int(self.metrics.get("total/epochs", len(self.curves.get("seconds", ()))))

    @property
    def seconds(self) -> float:
        """How long it trained, also if it ended early."""
        epochs = sum(value for _, value in self.curves.get("seconds", ()))
        return float(self.metrics.get("total/seconds", epochs))


@dataclass(frozen=True)
class Trial:
    """One trial of a study.

    Attributes:
        number: From 0.
        state: What became of it.
        params: The searched values.
        run_id: Its run in MLflow.
        trainings: One, or one for each repeat that began; in the order of their seeds.
        began: When.
        ended: When; None while it runs.
        worker: Which one ran it; empty if that was not recorded.
        reason: Why it failed; empty otherwise.
        taken_from: The trial with the same values whose result it has; nothing was trained for it. None for others.
        values: Of the goals, as the study has them; empty if it is not in the leaderboard or came to none.
        n_lost: How many of its trainings MLflow does not have any more.
    """

    number: int
    state: State
    params: Mapping[str, Any]
    run_id: str
    trainings: tuple[Training, ...] = ()
    began: dt.datetime | None = None
    ended: dt.datetime | None = None
    worker: str = ""
    reason: str = ""
    taken_from: int | None = None
    values: tuple[float, ...] = ()
    n_lost: int = 0


@dataclass(frozen=True)
class Configuration:
    """Trials that differ in nothing but the seed.

    Attributes:
        label: Its searched values.
        trials: Complete ones, in the order of their numbers.
        trainings: Those of the trials, one for each seed, in the order of the seeds.
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
        """The name, with the label where they differ."""
        return self.label if self.name == self.label else f"{self.name} ({self.label})"

    def sample(self, metric: str) -> dict[int, float]:
        """The values of a metric by seed."""
        return {one.seed: one.metrics[metric] for one in self.trainings if metric in one.metrics}

    def mean(self, metric: str) -> float:
        """Over the seeds."""
        return statistics.mean(self.sample(metric).values())


@dataclass(frozen=True)
class Study:
    """A study as MLflow knows it.

    Attributes:
        name: Of the study.
        run_id: Its run, below which the trials' runs are.
        experiment: Name of the experiment.
        status: How its run ended, or RUNNING.
        began: When it was begun.
        ended: When it was ended last; None while it runs.
        command: What was typed; empty if that was not recorded.
        goals: One or more.
        trials: In the order of their numbers.
        class_names: Of the pictures; empty if no training came so far.
        distributions: From which the searched values were drawn, by key; empty if that was not recorded.
    """

    name: str
    run_id: str
    experiment: str
    status: str
    began: dt.datetime
    ended: dt.datetime | None
    command: str
    goals: tuple[Goal, ...]
    trials: tuple[Trial, ...]
    class_names: tuple[str, ...] = ()
    distributions: Mapping[str, "BaseDistribution"] = field(default_factory=dict)

    @property
    def goal(self) -> Goal:
        """The first goal."""
        return self.goals[0]

    @property
    def trainings(self) -> list[Training]:
        """Those of all trials."""
        return [training for trial in self.trials for training in trial.trainings]

    def count(self) -> dict[State, int]:
        """How many trials ended in which way; states that did not occur are left out."""
        states = [trial.state for trial in self.trials]
        return {state: states.count(state) for state in State if state in states}

    def searched(self) -> list[str]:
        """Every searched key that some trial has, but for the seed."""
        return list(dict.fromkeys(key for trial in self.trials for key in trial.params if key != SEED))


def configurations(study: Study) -> list[Configuration]:
    """The configurations with a value of every goal, the best by its mean first.

    If a configuration was trained more than once with the same seed, the first training counts.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in study.trials:
        if trial.state is State.COMPLETE:
            key = repr(sorted((name, repr(value)) for name, value in trial.params.items() if name != SEED))
            groups.setdefault(key, []).append(trial)
    goals, keys = study.goals, study.searched()
    made = [_configuration(trials, goals, keys) for trials in groups.values()]
    measured = [one for one in made if one.trainings]
    return sorted(
        measured, key=lambda one: (goals[0].sign() * one.mean(goals[0].metric), one.trials[0].number)
    )


def _configuration(trials: Sequence[Trial], goals: Sequence[Goal], keys: Sequence[str]) -> Configuration:
    by_seed: dict[int, Training] = {}
    for training in (training for trial in trials for training in trial.trainings):
        values = [training.metrics.get(goal.metric, math.nan) for goal in goals]
        if all(map(math.isfinite, values)):
            by_seed.setdefault(training.seed, training)
    trainings = tuple(by_seed[seed] for seed in sorted(by_seed))
    return Configuration(_label(trials[0], keys), tuple(trials), trainings)


def _label(trial: Trial, keys: Sequence[str]) -> str:
    heads = short_keys(keys)
    parts = []
    for key in keys:
        if key not in trial.params:
            continue
        value, is_choice = (
            value_text(trial.params[key]),
            "." not in key and isinstance(trial.params[key], str),
        )
        parts.append(value if is_choice else f"{heads[key]}={value}")
    if not parts and trial.trainings:
        tags = trial.trainings[0].tags
        parts = [tags[name] for name in ("model", "augmentation") if name in tags]
    return " ".join(parts) or f"trial {trial.number}"
