"""Wrapper module for the private API of hydra-optuna-sweeper: how it reads sweeps and creates samplers."""

from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Override

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_MODULE = "hydra_plugins.hydra_optuna_sweeper._impl"

# Private: two functions of `_impl`. They are the `_target_` of hydra/sweeper/sampler=nsgaii and nsgaiii in the plugin's own
# configuration, so a sweep with one of these has to name them.
SAMPLER_FUNCTIONS = (f"{_MODULE}.create_nsgaii_sampler", f"{_MODULE}.create_nsgaiii_sampler")


def distribution_of(override: Override) -> "BaseDistribution":
    """Return the distribution of a range or an interval.

    Private: `_impl.create_optuna_distribution_from_override`. The plugin's public class is a complete sweeper, which does
    not expose the distributions that it creates.
    """
    from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override

    distribution: BaseDistribution = create_optuna_distribution_from_override(override)
    return distribution
