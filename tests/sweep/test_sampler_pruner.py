"""The pruners of the group hydra/sweeper/pruner."""

from typing import Any

import optuna
import pytest
from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepError
from flowersweep.sweep.pruner import make_pruner
from hydra_plugins.flowersweep_study import config

EXPECTED = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "wilcoxon": optuna.pruners.WilcoxonPruner,
}


def _node(name: str, **options: Any) -> DictConfig:
    node = OmegaConf.structured(config.PRUNERS[name](**options))
    assert isinstance(node, DictConfig)
    return node


@pytest.mark.parametrize("name", list(config.PRUNERS))
def test_every_pruner(name: str) -> None:
    """Each choice of the group makes Optuna's pruner without a warning."""
    assert type(make_pruner(_node(name))) is EXPECTED[name]


def test_any_of_optunas() -> None:
    """A pruner around another, from a file of the user's, works too."""
    node = OmegaConf.create(
        {
            "_target_": "optuna.pruners.PatientPruner",
            "wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"},
            "patience": 2,
        }
    )
    assert isinstance(make_pruner(node), optuna.pruners.PatientPruner)


def _prunes_at(name: str, n_epochs: int) -> int | None:
    """The epoch, counted from 1, at which a hopeless trial ends after ten good ones; None if it never does."""
    study = optuna.create_study(direction="maximize", pruner=make_pruner(_node(name)))
    for number in range(10):
        trial = study.ask()
        for epoch in range(1, n_epochs + 1):
            trial.report(0.8 + number / 100 + epoch / 1000, epoch)
            # Some pruners take note of a trial only when asked.
            trial.should_prune()
        study.tell(trial, 0.9)
    trial = study.ask()
    for epoch in range(1, n_epochs + 1):
        trial.report(0.1, epoch)
        if trial.should_prune():
            return epoch
    return None


def test_defaults_suit_short_trainings() -> None:
    """Of thirty epochs a hopeless trial loses most; the first ones are always trained."""
    assert {name: _prunes_at(name, 30) for name in ("none", "median", "asha")} == {
        "none": None,
        "median": 3,
        "asha": 3,
    }
    assert _prunes_at("hyperband", 30) in {3, 9, 27, None}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("median", {"n_warmup_steps": -1}, "pruner.n_warmup_steps must be at least 0, but is -1"),
        ("asha", {"reduction_factor": 1}, "pruner.reduction_factor must be at least 2, but is 1"),
        (
            "hyperband",
            {"max_resource": "all"},
            "pruner.max_resource must be auto, or at least 1, but is 'all'",
        ),
        ("hyperband", {"max_resource": 0}, "but is 0"),
        ("wilcoxon", {"p_threshold": 2.0}, "pruner.p_threshold must be at least 0 and at most 1, but is 2.0"),
    ],
)
def test_bad_values(name: str, options: dict[str, Any], words: str) -> None:
    """A value out of range is one sentence with the range."""
    with pytest.raises(SweepError, match=words):
        make_pruner(_node(name, **options))


def test_bad_targets() -> None:
    """Only Optuna's pruners are called."""
    with pytest.raises(SweepError, match=r"hydra/sweeper/pruner cannot be made from os.getcwd"):
        make_pruner(OmegaConf.create({"_target_": "os.getcwd"}))


def test_several_objectives() -> None:
    """With two objectives Optuna cannot prune, so that only none is accepted."""
    assert isinstance(make_pruner(_node("none"), n_directions=2), optuna.pruners.NopPruner)
    with pytest.raises(SweepError, match=r"MedianPruner compares one objective.*hydra/sweeper/pruner=none"):
        make_pruner(_node("median"), n_directions=2)
