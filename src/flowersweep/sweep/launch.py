"""Workers, through Hydra's launcher: in this process, on this machine, or wherever the launcher takes them."""

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, flag_override
from optuna import Study

from flowersweep.sweep.budget import Budget, Stop, remaining
from flowersweep.sweep.check import probes
from flowersweep.sweep.child import Application
from flowersweep.sweep.pruner import make_pruner
from flowersweep.sweep.sampler import make_sampler
from flowersweep.sweep.settings import Settings
from flowersweep.sweep.space import Space
from flowersweep.sweep.storage import open_storage
from flowersweep.sweep.study import join_study
from flowersweep.sweep.training_process import TrainingProcess
from flowersweep.sweep.worker import Worker, WorkerReport, work

log = logging.getLogger(__name__)

# How often workers are launched again when a launcher loses them all, as joblib does when one of its processes dies.
MAX_LAUNCHES = 5


@dataclass(frozen=True)
class Sweep:
    """What every worker needs to know; goes to other processes as it is.

    Attributes:
        study_name: Of the study in the storage.
        storage: URL of the storage, absolute.
        space: What is searched.
        settings: `hydra.sweeper`.
        budget: Shared by all workers.
        folder: Where trials have their folders and workers their log.
        config: The sweep's configuration, with the `hydra` node.
        hydra_context: Composes trials and runs them.
        task_function: What a trial runs.
        sweeper: Identity of the process that launches the workers.
        parent_run_id: The MLflow run of the study, if there is one.
        reports: What the workers did, filled by `launch`.
    """

    study_name: str
    storage: str
    space: Space
    settings: Settings
    budget: Budget
    folder: Path
    config: DictConfig
    hydra_context: HydraContext
    task_function: TaskFunction
    sweeper: Mapping[str, str]
    parent_run_id: str | None = None
    reports: list[WorkerReport] = field(default_factory=list)


def launch(sweep: Sweep, study: Study) -> None:
    """Launch the workers and wait for them; launch anew what a dead worker process took along.

    Raises:
        Exception: What a worker raised.
    """
    for attempt in range(MAX_LAUNCHES):
        try:
            sweep.reports.extend(_launch_once(sweep))
        except RuntimeError as error:
            # joblib gives up on all workers when one of their processes dies; their trials wait in the study.
            if "TerminatedWorkerError" not in type(error).__name__ and "Broken" not in type(error).__name__:
                raise
            log.warning("A worker process died (%s); workers are started again.", type(error).__name__)
            if attempt + 1 == MAX_LAUNCHES:
                raise
            continue
        stops = {report.stop for report in sweep.reports}
        if (
            stops & {Stop.INTERRUPTED, Stop.FAILURES, Stop.TIMEOUT}
            or remaining(study, sweep.space, sweep.budget) <= 0
        ):
            return


def _launch_once(sweep: Sweep) -> list[WorkerReport]:
    n_workers = sweep.settings.n_jobs
    launcher = _launcher(sweep, n_workers)
    # Any overrides that compose: a worker composes each trial's own.
    overrides = sweep.space.overrides(next(probes(sweep.space)))
    reports = []
    for done in launcher.launch([overrides] * n_workers, initial_job_idx=0):
        if isinstance(done._return_value, BaseException):  # noqa: SLF001 (the property writes to stderr)
            raise done._return_value  # noqa: SLF001 (as above)
        reports.append(done.return_value)
    return reports


def _launcher(sweep: Sweep, n_workers: int) -> Launcher:
    """The configured launcher; joblib if there are several workers and none was chosen."""
    config = sweep.config.copy()
    with flag_override(config.hydra, ["readonly", "struct"], [False, False]):
        config.hydra.sweep.dir = str(sweep.folder)
        config.hydra.sweep.subdir = "workers"
        config.hydra.hydra_logging = {"version": 1, "root": None, "disable_existing_loggers": False}
    task = functools.partial(worker_job, sweep=sweep)
    if n_workers == 1 or not str(config.hydra.launcher["_target_"]).endswith("BasicLauncher"):
        return Plugins.instance().instantiate_launcher(
            hydra_context=sweep.hydra_context, task_function=task, config=config
        )
    from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

    # Hydra refuses a job whose launcher is not the sweep's, so the configuration keeps the one that was chosen.
    options = vars(JobLibLauncherConf(n_jobs=n_workers, batch_size="1"))
    launcher = JoblibLauncher(**{name: value for name, value in options.items() if name != "_target_"})
    launcher.setup(hydra_context=sweep.hydra_context, task_function=task, config=config)
    return launcher


def worker_job(_config: DictConfig, *, sweep: Sweep) -> WorkerReport:
    """One worker, as a Hydra job: takes trials from the study until there are none."""
    settings = sweep.settings
    storage = open_storage(sweep.storage, Path())
    pruner = make_pruner(settings.pruner, n_directions=len(settings.directions))
    study = join_study(storage, sweep.study_name, pruner=pruner)
    sweep.folder.mkdir(parents=True, exist_ok=True)
    process = TrainingProcess(
        Application.here(sweep.task_function, sweep.hydra_context, len(settings.directions)),
        n_workers=settings.n_jobs,
        trials_per_process=settings.trials_per_process,
        output=sweep.folder / "training.log",
    )
    return work(
        Worker(
            study=study,
            space=sweep.space,
            budget=sweep.budget,
            compose=functools.partial(_compose, sweep),
            process=process,
            sampler_for=functools.partial(_sampler, sweep),
            sweeper=sweep.sweeper,
            parent_run_id=sweep.parent_run_id,
            max_retries=settings.max_retries,
        )
    )


def _compose(sweep: Sweep, number: int, overrides: list[str]) -> DictConfig:
    composed = sweep.hydra_context.config_loader.load_sweep_config(sweep.config, overrides)
    with flag_override(composed.hydra, ["readonly", "struct"], [False, False]):
        composed.hydra.sweep.dir = str(sweep.folder)
        composed.hydra.sweep.subdir = f"trial_{number}"
    return composed


def _sampler(sweep: Sweep, number: int) -> Any:
    settings = sweep.settings
    return make_sampler(
        settings.sampler, trial_number=number, space=sweep.space, n_directions=len(settings.directions)
    )
