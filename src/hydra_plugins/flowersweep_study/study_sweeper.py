"""The sweeper class that Hydra discovers; the work is in `flowersweep.sweep`, imported when a sweep starts."""

import os
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowersweep.console import print_notice
from flowersweep.errors import EXIT_BAD_INPUT, EXIT_FAILED, FlowersweepError, SweepStoppedError
from flowersweep.interrupt import Interrupted, interruptible
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

        Raises:
            SystemExit: The sweep was interrupted or cannot run, which has been said in one message. With HYDRA_FULL_ERROR=1
                the exception itself is raised.
        """
        if self._context is None:
            raise RuntimeError("sweep() was called before setup().")
        from flowersweep.sweep.run import run_study

        hydra_context, task_function, config = self._context
        try:
            with interruptible():
                return run_study(
                    arguments, config=config, hydra_context=hydra_context, task_function=task_function
                )
        except (Interrupted, FlowersweepError) as error:
            # Hydra would end with a traceback and code 1, whatever happened; flowersweep's own command sets this.
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            resumed = "; the same command resumes the sweep." if isinstance(error, Interrupted) else ""
            for line in f"{error}{resumed}".splitlines():
                print_notice(line)
            raise SystemExit(_exit_code(error)) from None


def _exit_code(error: Interrupted | FlowersweepError) -> int:
    if isinstance(error, Interrupted):
        return 128 + error.signal_number
    return EXIT_FAILED if isinstance(error, SweepStoppedError) else EXIT_BAD_INPUT
