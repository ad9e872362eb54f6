"""The sweeper class that Hydra discovers; the work is in `flowersweep.sweep`, imported when a sweep starts."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.flowersweep_study import config as _config  # noqa: F401 (registers the configuration)


class StudySweeper(Sweeper):
    """Runs a sweep as an Optuna study that the same command resumes; see `StudySweeperConf`."""

    def __init__(self, **_settings: Any) -> None:
        # setup() gets them again, typed and with their interpolations, in its configuration.
        self._context: tuple[HydraContext, TaskFunction, DictConfig] | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's objects; `config` is the sweep's own, with the `hydra` node."""
        self._context = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Run the sweep to its end.

        Args:
            arguments: The overrides of the command line that are not Hydra's own.

        Returns:
            What `flowersweep.sweep.run.run_study` returns.
        """
        if self._context is None:
            raise RuntimeError("sweep() was called before setup().")
        from flowersweep.sweep.run import run_study

        hydra_context, task_function, config = self._context
        return run_study(arguments, config=config, hydra_context=hydra_context, task_function=task_function)
