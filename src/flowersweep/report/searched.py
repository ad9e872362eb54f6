"""What the searched values say: how much each key matters, and which values went together."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowersweep.report.evidence import SEED, Study, leaves
from flowersweep.report.ranking import Row

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# Optuna compares the best tenth with the others.
MIN_CONFIGURATIONS = 10


def importances(study: Study, rows: Sequence[Row]) -> dict[str, float]:
    """How much each searched key mattered for being among the best, by Optuna's PED-ANOVA; 0..1, the largest first.

    Empty if there are too few configurations or keys to say anything, and with several goals, which have no best tenth.
    """
    import optuna

    keys = study.searched()
    if len(study.goals) > 1 or len(keys) < 2 or len(rows) < MIN_CONFIGURATIONS:
        return {}
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        rebuilt = optuna.create_study(direction="maximize" if study.goal.maximize else "minimize")
        distributions = {key: _distribution(study, key) for key in keys}
        for row in rows:
            params = {k: _plain(v) for k, v in row.configuration.trials[0].params.items() if k != SEED}
            mine = {key: distributions[key] for key in params}
            value = row.configuration.mean(study.goal.metric)
            rebuilt.add_trial(optuna.trial.create_trial(value=value, params=params, distributions=mine))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells when all keys matter alike, which the chart shows
            return dict(optuna.importance.get_param_importances(rebuilt))
    except (ValueError, RuntimeError):  # one value of every key, or of the goal
        return {}
    finally:
        optuna.logging.set_verbosity(level)


def _distribution(study: Study, key: str) -> "BaseDistribution":
    """The range of the values that occurred; logarithmic if they are positive and span two powers of ten."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    values = [_plain(trial.params[key]) for trial in study.trials if key in trial.params]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values):
        return CategoricalDistribution(list(dict.fromkeys(values)))
    return FloatDistribution(float(min(numbers)), float(max(numbers)), log=is_logarithmic(numbers))


def is_logarithmic(values: Sequence[float]) -> bool:
    """Whether numbers are better seen by their powers of ten."""
    return bool(values) and min(values) > 0 and max(values) / min(values) >= 100


def _plain(value: object) -> str | float | int | bool | None:
    """A value that Optuna takes among choices."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


def parallel(study: Study, rows: Sequence[Row]) -> dict[str, list[object]]:
    """The searched values by the name of their key, one for each row; None where a configuration lacks a key."""
    heads = leaves(study.searched())
    return {
        head: [_plain(row.configuration.trials[0].params.get(key)) for row in rows]
        for key, head in heads.items()
    }
