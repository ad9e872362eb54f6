"""What a study has left behind, as plain values: its trials, and the trainings of each."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SEED = "seed"
# The goal whose values are shares of the validation pictures.
ACCURACY = "best/val_accuracy"

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
