"""What the searched values say: how much each key matters, and which values went together."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowersweep.config.spelling import short_keys
from flowersweep.report.evidence import State, Study, Trial
from flowersweep.report.statistics.ranking import Row

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# Optuna compares the best tenth with the others.
MIN_TRIALS = 10


def counted(study: Study) -> list[Trial]:
    """The trials that came to a value, in the order of their numbers."""
    return [trial for trial in study.trials if trial.state is State.COMPLETE and trial.values]


def importances(study: Study) -> dict[str, float]:
    """How much each searched key mattered for being among the best, 0..1, the largest first.

    It is what Optuna says of the study itself: of its trials (a trial with repeats is one, with their mean), with the
    distributions from which their values were drawn, and with the seed if that was searched.

    Empty if there are too few trials or keys to say anything, with several goals, which have no best tenth, and if the
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
            warnings.simplefilter("ignore")  # it tells when all keys matter alike, which the chart shows
            return dict(optuna.importance.get_param_importances(rebuilt))
    except (ValueError, RuntimeError):  # one value of every key, or of the goal
        return {}
    finally:
        optuna.logging.set_verbosity(level)


def unknown(study: Study) -> str:
    """Why it cannot be said how much each key mattered although there are trials enough; empty if it can."""
    keys = {key for trial in counted(study) for key in trial.params}
    if not _enough(study) or keys <= study.distributions.keys():
        return ""
    return (
        "How much each searched key mattered is not shown: the study is from before the ranges and choices of its keys "
        "were recorded. Its sweep's command, typed once more, records them and trains nothing that is done."
    )


def _enough(study: Study) -> bool:
    trials = counted(study)
    return (
        len(study.goals) == 1
        and len(trials) >= MIN_TRIALS
        and len({key for one in trials for key in one.params}) >= 2
    )


def is_logarithmic(values: Sequence[float], distribution: "BaseDistribution | None" = None) -> bool:
    """Whether numbers are better seen by their powers of ten: as they were searched; if unknown, by their span."""
    if distribution is not None:
        return bool(getattr(distribution, "log", False))
    return bool(values) and min(values) > 0 and max(values) / min(values) >= 100


def _plain(value: object) -> str | float | int | bool | None:
    """A value that Optuna takes among choices."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


@dataclass(frozen=True)
class Axis:
    """A searched key and its values.

    Attributes:
        name: Of the key, short.
        values: One for each row; None where a configuration lacks the key.
        distribution: From which they were drawn; None if that was not recorded.
    """

    name: str
    values: list[str | float | int | bool | None]
    distribution: "BaseDistribution | None"


def parallel(study: Study, rows: Sequence[Row]) -> list[Axis]:
    """The searched values of each row by their key."""
    return [
        Axis(
            head,
            [_plain(row.configuration.trials[0].params.get(key)) for row in rows],
            study.distributions.get(key),
        )
        for key, head in short_keys(study.searched()).items()
    ]
