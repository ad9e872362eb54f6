"""The results of a study as plain values: its trials and their trainings."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flowersweep.ranking.standings import SEED

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Curve = tuple[tuple[int, float], ...]


class State(StrEnum):
    """The state of a trial."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Goal:
    """A goal that a study optimizes.

    Attributes:
        metric: The name of the logged metric, for example best/val_accuracy.
        maximize: Whether larger is better.
    """

    metric: str
    maximize: bool

    @property
    def words(self) -> str:
        """The goal in words."""
        return f"{'maximize' if self.maximize else 'minimize'} {self.metric}"

    @property
    def monitor(self) -> str:
        """The metric's name without its prefix, which is the name of a value of an epoch."""
        return self.metric.rpartition("/")[2]

    def sign(self) -> int:
        """The factor with which smaller values are better."""
        return -1 if self.maximize else 1


@dataclass(frozen=True)
class Training:
    """One run in which a network was trained.

    Attributes:
        run_id: The id of the run in MLflow.
        seed: The seed of the training.
        metrics: The latest value of each metric.
        curves: (step, value) of each epoch by metric, in order.
        settings: The configuration as dotted keys and texts.
        tags: The tags of the run.
        n_validation: The number of validation pictures; None if it was not recorded.
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
        """The number of trained epochs, also if the training ended early."""
        return int(self.metrics.get("total/epochs", len(self.curves.get("seconds", ()))))

    @property
    def seconds(self) -> float:
        """The training time, also if the training ended early."""
        epochs = sum(value for _, value in self.curves.get("seconds", ()))
        return float(self.metrics.get("total/seconds", epochs))


@dataclass(frozen=True)
class Trial:
    """One trial of a study.

    Attributes:
        number: Counted from 0.
        state: The state of the trial.
        params: The searched values.
        run_id: Its run in MLflow.
        trainings: One, or one for each repeat that was started, in the order of their seeds.
        began: Time of the start.
        ended: Time of the end; None while it is running.
        worker: The worker that ran it; empty if it was not recorded.
        reason: The reason of a failure; empty otherwise.
        taken_from: The trial with the same values whose result was reused without training; None for other trials.
        values: The values of the goals; empty if the trial is not in the leaderboard or has none.
        n_lost: The number of its trainings that are no longer in MLflow.
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
    """A study as it is recorded in MLflow.

    Attributes:
        name: The name of the study.
        run_id: The id of its run, the parent of the trials' runs.
        experiment: The name of the experiment.
        status: How its run ended, or RUNNING.
        began: Time of the start.
        ended: Time of the last end; None while it is running.
        command: The command as it was typed; empty if it was not recorded.
        goals: One or more goals.
        trials: The trials in the order of their numbers.
        class_names: The classes of the pictures; empty if no training recorded them.
        distributions: The distributions of the searched values, by key; empty if they were not recorded.
        program: The command of another program whose trials these are; empty for flowersweep's own trainings.
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
    program: str = ""

    @property
    def goal(self) -> Goal:
        """The first goal."""
        return self.goals[0]

    @property
    def trainings(self) -> list[Training]:
        """The trainings of all trials."""
        return [training for trial in self.trials for training in trial.trainings]

    @property
    def unit(self) -> str:
        """What curves and efforts are counted in."""
        return "step" if self.program else "epoch"

    def count(self) -> dict[State, int]:
        """The number of trials in each state; states that did not occur are left out."""
        states = [trial.state for trial in self.trials]
        return {state: states.count(state) for state in State if state in states}

    def searched(self) -> list[str]:
        """All searched keys except the seed."""
        return list(dict.fromkeys(key for trial in self.trials for key in trial.params if key != SEED))
