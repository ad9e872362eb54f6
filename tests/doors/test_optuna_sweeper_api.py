"""What flowersweep uses of hydra-optuna-sweeper without its promise is there, and does what it is used for."""

from dataclasses import fields
from importlib import import_module

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler

from flowersweep.doors.optuna_sweeper_api import SAMPLER_FUNCTIONS, distribution_of
from hydra_plugins.hydra_optuna_sweeper.config import NSGAIIISamplerConfig, NSGAIISamplerConfig
from private_parts import Part, require

MODULE = "hydra_plugins.hydra_optuna_sweeper._impl"
PARTS = tuple(
    Part(
        f"{MODULE}.{name}",
        lambda name=name: getattr(import_module(MODULE), name),  # type: ignore[misc]
        f"doors.optuna_sweeper_api.{user}",
        purpose,
    )
    for name, user, purpose in (
        ("create_optuna_distribution_from_override", "distribution_of", "read ranges and intervals"),
        ("create_nsgaii_sampler", "SAMPLER_FUNCTIONS", "allow hydra/sweeper/sampler=nsgaii"),
        ("create_nsgaiii_sampler", "SAMPLER_FUNCTIONS", "allow hydra/sweeper/sampler=nsgaiii"),
    )
)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_the_sweeper_still_has_it(part: Part) -> None:
    """Each private part is there; the failure says which one is gone, and what needs it."""
    require("hydra-optuna-sweeper", part)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("x=range(1,9,2)", IntDistribution(1, 7, step=2)),
        ("x=interval(0.5,2)", FloatDistribution(0.5, 2.0)),
        ("x=tag(log,interval(0.5,2))", FloatDistribution(0.5, 2.0, log=True)),
        ("x=int(interval(1,4))", IntDistribution(1, 4)),
    ],
)
def test_sweeps_become_distributions(override: str, expected: BaseDistribution) -> None:
    """Whole numbers leave their stop out, intervals include both ends."""
    (parsed,) = OverridesParser.create().parse_overrides([override])
    assert distribution_of(parsed) == expected


@pytest.mark.filterwarnings("ignore:NSGAIII:optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("config", [NSGAIISamplerConfig, NSGAIIISamplerConfig])
def test_the_configured_samplers_are_these_functions(config: type) -> None:
    """The plugin's own configuration names them as targets, and they make samplers."""
    (target,) = (field.default for field in fields(config) if field.name == "_target_")
    assert target in SAMPLER_FUNCTIONS
    module, _, name = str(target).rpartition(".")
    assert isinstance(getattr(import_module(module), name)(seed=1), BaseSampler)
