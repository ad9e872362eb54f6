"""Analysis of the searched values: the importance of each key, and the combinations of values."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowersweep.config.spelling import short_keys
from flowersweep.report.evidence import State, Study, Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# Optuna compares the best tenth with the others.
MIN_TRIALS = 10


def counted(study: Study) -> list[Trial]:
    """The completed trials with a value, in the order of their numbers."""
    return [trial for trial in study.trials if trial.state is State.COMPLETE and trial.values]


def importances(study: Study) -> dict[str, float]:
    """The importance of each searched key for the best results, 0..1, the largest first.

    It is the result of Optuna for the study itself: for its trials (a trial with repeats counts once, with their mean),
    with the distributions of their values, and with the seed if it was searched.

    Empty if there are too few trials or keys, if there are several goals (which have no best tenth), or if the
    distributions are not known.
    """
    import optuna

    if not _enough(study) or unknown(study):
        return {}
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        rebuilt = optuna.create_study(direction="maximize" if study.goal.maximize else "minimize")
        for trial in counted(study):
            mine = {key: study.distributions[key] for key in trial.params}
            rebuilt.add_trial(
                optuna.trial.create_trial(
                    value=trial.values[0], params=dict(trial.params), distributions=mine
                )
            )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # it warns if all keys are equally important, which the chart shows
            return dict(optuna.importance.get_param_importances(rebuilt))
    except (ValueError, RuntimeError):  # all values of a key or of the goal are equal
        return {}
    finally:
        optuna.logging.set_verbosity(level)


def unknown(study: Study) -> str:
    """Why the importances cannot be computed although there are enough trials; empty if they can."""
    keys = {key for trial in counted(study) for key in trial.params}
    if not _enough(study) or keys <= study.distributions.keys():
        return ""
    return (
        "The importance of the searched keys is not shown, because the study is from before the ranges and choices of its "
        "keys were recorded. Run the command of its sweep again to record them; finished trials are not trained again."
    )


def _enough(study: Study) -> bool:
    trials = counted(study)
    return (
        len(study.goals) == 1
        and len(trials) >= MIN_TRIALS
        and len({key for one in trials for key in one.params}) >= 2
    )


def is_logarithmic(values: Sequence[float], distribution: "BaseDistribution | None" = None) -> bool:
    """Whether numbers need a logarithmic axis: as they were searched; if unknown, depending on their range."""
    if distribution is not None:
        return bool(getattr(distribution, "log", False))
    return bool(values) and min(values) > 0 and max(values) / min(values) >= 100


def _plain(value: object) -> str | float | int | bool | None:
    """A value that Optuna accepts as a choice."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


@dataclass(frozen=True)
class Axis:
    """A searched key and its values.

    Attributes:
        name: The short name of the key.
        values: One value for each point; None if a point lacks the key.
        distribution: The distribution of the values; None if it was not recorded.
    """

    name: str
    values: list[str | float | int | bool | None]
    distribution: "BaseDistribution | None"


def pruned(study: Study) -> list[Trial]:
    """The pruned trials that reported a value."""
    return [trial for trial in study.trials if trial.state is State.PRUNED and trial.values]


def parallel(study: Study, points: Sequence[Mapping[str, object]]) -> list[Axis]:
    """The searched values of all points, one axis for each key.

    Args:
        study: The study.
        points: The searched values of configurations or trials.
    """
    return [
        Axis(head, [_plain(point.get(key)) for point in points], study.distributions.get(key))
        for key, head in short_keys(study.searched()).items()
    ]
