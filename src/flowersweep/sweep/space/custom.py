"""Params that a function of the program adds to each trial: `hydra.sweeper.custom_search_space`."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig

from flowersweep.doors.hydra_api import refused_target
from flowersweep.errors import SweepError

SETTING = "hydra.sweeper.custom_search_space"


@dataclass(frozen=True)
class Extension:
    """A function that asks a trial for further params, named as in an override, such as `+w`.

    Attributes:
        function: Called with the sweep's configuration and the Optuna trial, which has its other params.
        config: The sweep's configuration, with the `hydra` node.
    """

    function: Callable[[DictConfig, Any], object]
    config: DictConfig

    @classmethod
    def named(cls, name: str, config: DictConfig) -> "Extension":
        """The function of that name, which the application must allow Hydra to call.

        Args:
            name: As package.module.function.
            config: The sweep's configuration, with the `hydra` node.

        Raises:
            SweepError: It cannot be imported, or is not allowed.
        """
        try:
            # Hydra decides whether it may be called; only the function itself can be pickled for workers.
            function = instantiate({"_target_": name, "_partial_": True}).func
        except HydraException as error:
            if refused_target(error) is not None:
                raise SweepError(
                    f"{SETTING}={name} cannot be used, because the program does not allow Hydra to call it; allow it with "
                    f'@hydra.main(..., execution_whitelist=["{name}"]).'
                ) from None
            lines = str(error.__cause__ or error).strip().splitlines()
            raise SweepError(f"{SETTING}={name} cannot be used: {lines[-1]}") from None
        return cls(function, config)

    def suggest(self, trial: Any, fixed: Mapping[str, str], searched: Collection[str]) -> dict[str, Any]:
        """Let the function suggest the params of a trial.

        Args:
            trial: Optuna's; it has the values of `searched`.
            fixed: The fixed values, which the function finds among the trial's user attributes.
            searched: The params that do not come from the function.

        Returns:
            The params that the function added.

        Raises:
            SweepError: One of them has a fixed value.
        """
        self.function(self.config, _WithFixed(trial, fixed))
        added = {name: value for name, value in trial.params.items() if name not in searched}
        if both := sorted(added.keys() & fixed.keys()):
            raise SweepError(
                f"{SETTING} suggests {both[0]}, which has the fixed value {fixed[both[0]]}; leave out one of the two."
            )
        return added


class _WithFixed:
    """A trial that has the fixed values of the sweep among its user attributes."""

    def __init__(self, trial: Any, fixed: Mapping[str, str]) -> None:
        self._trial = trial
        self._fixed = fixed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    @property
    def user_attrs(self) -> dict[str, Any]:
        """Those of the trial, and the fixed values."""
        return {**self._trial.user_attrs, **self._fixed}
