"""The described options of samplers are those of Optuna, with its defaults."""

import inspect
from dataclasses import fields
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf

from flowersweep.sweep.search.options import DEFAULTS, OPTIONS, SAMPLERS
from flowersweep.sweep.search.sampler import make_sampler
from flowersweep.sweep.space.build_space import build_space
from hydra_plugins.hydra_optuna_sweeper import config as official

NAMES = {
    "cmaes": "CmaEs",
    "gp": "GP",
    "nsgaii": "NSGAII",
    "nsgaiii": "NSGAIII",
    "qmc": "QMC",
    "random": "Random",
    "tpe": "TPE",
}
# Optuna ignores them, or they are objects of a program.
NOT_SET = {"consider_prior", "restart_strategy", "inc_popsize", "constraints_func", "source_trials"}


def own_options(name: str) -> dict[str, Any]:
    """The options of a sampler in the official configuration, with their defaults there."""
    node = getattr(official, f"{NAMES[name]}SamplerConfig")
    return {one.name: one.default for one in fields(node) if not one.name.startswith("_")}


def test_every_option_is_described() -> None:
    """None is missing, and none that is described does not exist."""
    existing = {option for name in NAMES for option in own_options(name)}
    assert set(OPTIONS) == existing - NOT_SET
    assert set(DEFAULTS) <= set(OPTIONS)
    assert set(SAMPLERS) == {*NAMES, "grid"}


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_those_of_optuna(name: str) -> None:
    """Without a default of its own in `DEFAULTS`, an option has the one of the official configuration in Optuna, too."""
    kinds = inspect.signature(getattr(optuna.samplers, f"{NAMES[name]}Sampler")).parameters
    for option, default in own_options(name).items():
        if option in OPTIONS and option not in DEFAULTS:
            assert kinds[option].default == default


def test_defaults_of_tpe() -> None:
    """They are what the sampler has in the end."""
    node: Any = OmegaConf.structured(official.TPESamplerConfig)
    numbers = build_space(["x=interval(0,1)", "y=interval(0,1)"])
    sampler = vars(make_sampler(node, trial_number=0, space=numbers))
    parzen = sampler["_parzen_estimator_parameters"]
    assert {
        "constant_liar": str(sampler["_constant_liar"]).lower(),
        "warn_independent_sampling": f"true; {sampler['_warn_independent_sampling']} with tpe".lower(),
        "prior_weight": str(parzen.prior_weight),
        "consider_magic_clip": str(parzen.consider_magic_clip).lower(),
        "consider_endpoints": str(parzen.consider_endpoints).lower(),
    }.items() <= DEFAULTS.items()
