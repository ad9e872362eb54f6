"""Reading a study whose sweep is still running."""

from collections.abc import Callable
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from flowersweep.ranking.standings import configuration_key
from flowersweep.report.reading import read_study
from flowersweep.report.statistics.ranking import ranking
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store.store import Store

QUALITY = {"best/val_accuracy": 0.9}


def test_a_trial_that_is_not_yet_in_the_leaderboard(store: Store, new_study: Callable[..., Any]) -> None:
    """Its values have the types that were searched, so it belongs to the configuration of the earlier trials."""
    params = {
        "trainer.batch_size": 32,
        "model.dense_units": 8,
        "optimizer.momentum": 0.5,
        "model.dropout": 0,
        "aug": "RandomFlip",
        "bank.enabled": True,
        "model.filters": "[8,16]",
    }
    distributions = {
        "trainer.batch_size": CategoricalDistribution((32, 64)),
        "model.dense_units": IntDistribution(1, 9),
        "optimizer.momentum": FloatDistribution(0.0, 1.0),
        "model.dropout": CategoricalDistribution((0, 0.5)),
        "aug": CategoricalDistribution(("none", "RandomFlip")),
        "bank.enabled": CategoricalDistribution((True, False)),
        "model.filters": CategoricalDistribution(("[8]", "[8,16]")),
        "optimizer.beta_1": FloatDistribution(0.0, 1.0),  # not searched in these trials, where it is 0.9
        "seed": IntDistribution(0, 2),
    }
    writer = new_study("still running", distributions=distributions)
    for seed in (0, 1):
        writer.trial(seed, {**params, "seed": seed}, {seed: QUALITY})
    recorded = {**params, "seed": 2, "model.filters": (8, 16), "optimizer.beta_1": "0.9"}
    writer.trial(2, recorded, {2: QUALITY}, listed=False, ended=RunStatus.FINISHED)
    writer.end()
    read = read_study(store, find_study(store, writer.name))
    assert [configuration_key(trial.params) for trial in read.trials] == [configuration_key(params)] * 3
    assert read.trials[2].params == {**params, "seed": 2}
    assert len(ranking(read).rows) == 1


def test_the_first_trial(store: Store, new_study: Callable[..., Any]) -> None:
    """Before there is a leaderboard, the searched keys are those of the distributions."""
    distributions = {
        "aug": CategoricalDistribution(("none", "flip")),
        "model.dense_units": IntDistribution(1, 9),
        "db@source": CategoricalDistribution(("a", "b")),
        "db@size": IntDistribution(1, 9),
    }
    params = {"aug": "flip", "model.dense_units": 3, "db@source": "a", "db@size": 2}
    writer = new_study("just begun", distributions=distributions)
    writer.trial(0, params, {0: QUALITY}, listed=False, ended=RunStatus.FINISHED)
    writer.end()
    (trial,) = read_study(store, find_study(store, writer.name)).trials
    assert trial.params == params
