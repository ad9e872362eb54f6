"""Workers, through Hydra's launcher: in this process, on this machine, or wherever the launcher takes them."""

import functools
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, flag_override
from optuna import Study
from optuna.samplers import BaseSampler

from flowersweep.doors import hydra_api
from flowersweep.doors import joblib_launcher_api as joblib_api
from flowersweep.errors import SweepError
from flowersweep.sweep.settings import Settings
from flowersweep.sweep.space.check import probes
from flowersweep.sweep.space.overrides import typed_overrides
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.space.values import text_of
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.budget import Budget, Stop, remaining
from flowersweep.sweep.study.content import Content
from flowersweep.sweep.study.pruner import make_pruner
from flowersweep.sweep.study.sampler import distinct_sampler, explicit_options
from flowersweep.sweep.study.study import join_study
from flowersweep.sweep.workers.training_process import TrainingProcess
from flowersweep.sweep.workers.trial_server import Application, without_empty
from flowersweep.sweep.workers.worker import Worker, WorkerReport, work

log = logging.getLogger(__name__)

# How often workers are launched when a launcher loses them all, as joblib does when one of its processes dies.
MAX_LAUNCHES = 5
# They announce the jobs they launch; here these are workers, of which nobody wants to know.
TALKATIVE = (hydra_api.LOGGER, joblib_api.LOGGER)
TRAINING_LOG = "training.log"
WORKERS = "workers"


@dataclass(frozen=True)
class Sweep:
    """What every worker needs to know; goes to other processes as it is.

    Attributes:
        study_name: Of the study in the storage.
        storage: URL of the storage, absolute.
        space: What is searched.
        settings: `hydra.sweeper`.
        budget: Shared by all workers.
        folder: Where trials have their folders, and training processes their log.
        config: The sweep's configuration, with the `hydra` node.
        hydra_context: Composes trials and runs them.
        task_function: What a trial runs.
        sweeper: Identity of the process that launches the workers.
        parent_run_id: The MLflow run of the study, if there is one.
        command: What was typed to begin the sweep.
        content: What the trials read; None where that is not known.
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
    command: str | None = None
    content: Content | None = None


def launch(sweep: Sweep, study: Study) -> list[WorkerReport]:
    """Launch the workers and wait for them; launch anew what a dead worker process took along.

    After SIGINT or SIGTERM, of which the workers are told, the first report has the signal's number.

    Raises:
        SweepError: The workers died again and again.
        Exception: What a worker raised.
    """
    reports: list[WorkerReport] = []
    with _quiet(), _signals_passed_on() as caught:
        for _ in range(MAX_LAUNCHES):
            lost = False
            try:
                reports.extend(_launch_once(sweep))
            except RuntimeError as error:
                # joblib gives up on all workers when one of their processes dies; who comes next takes their trials.
                lost = _is_loss(error)
                if not lost and not caught:
                    raise
            if caught:
                return [WorkerReport(Stop.INTERRUPTED, caught[0]), *reports]
            if lost:
                log.warning("A worker's process died; the workers are started again.")
            elif _done(sweep, study, reports):
                return reports
    raise SweepError(
        f"The workers' processes died {MAX_LAUNCHES} times, perhaps for want of memory; try a smaller "
        "hydra.sweeper.n_jobs. The same command goes on with the sweep."
    )


def _done(sweep: Sweep, study: Study, reports: Sequence[WorkerReport]) -> bool:
    stopped = any(report.stop is not Stop.SPENT for report in reports)
    return stopped or remaining(study, sweep.space, sweep.budget) <= 0


def _is_loss(error: RuntimeError) -> bool:
    """Tell loky's TerminatedWorkerError and the BrokenProcessPool of any executor without importing joblib."""
    return any(base.__name__ == "BrokenExecutor" for base in type(error).__mro__)


@contextmanager
def _signals_passed_on() -> Iterator[list[int]]:
    """Hand SIGINT and SIGTERM on to the workers and go on waiting for them: they end their trials in order.

    An exception instead would make joblib kill them in mid-trial. Within a worker in this process its own handlers
    are in force.

    Yields:
        The signals that came.
    """
    caught: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if not caught:
            for worker in multiprocessing.active_children():
                os.kill(worker.pid or os.getpid(), signal.SIGTERM)
        caught.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _launch_once(sweep: Sweep) -> list[WorkerReport]:
    n_workers = sweep.settings.n_jobs
    sweep.folder.mkdir(parents=True, exist_ok=True)
    reports = []
    launcher = _launcher(sweep, n_workers)
    with without_empty(sweep.folder / WORKERS):
        returned = launcher.launch([_overrides(sweep)] * n_workers, initial_job_idx=0)
    for done in returned:
        report = hydra_api.returned(done)
        if isinstance(report, BaseException):
            raise report
        reports.append(report)
    return reports


def _overrides(sweep: Sweep) -> list[str]:
    """Of a worker: any point will do, as it composes each trial's own; it keeps out of the trials' folders."""
    return [
        *sweep.space.overrides(next(probes(sweep.space))),
        f"hydra.sweep.dir={text_of(str(sweep.folder))}",
        f"hydra.sweep.subdir={WORKERS}",
        "hydra.output_subdir=null",
        "hydra.job.chdir=false",
    ]


def _launcher(sweep: Sweep, n_workers: int) -> Launcher:
    """The configured launcher; joblib if there are several workers and none was chosen."""
    config = sweep.config.copy()
    with flag_override(config.hydra, ["readonly", "struct"], [False, False]):
        config.hydra.sweep.dir = str(sweep.folder)
    # A trial is a job to the user's Hydra callbacks; a worker is none.
    context = hydra_api.without_callbacks(sweep.hydra_context)
    task = functools.partial(worker_job, sweep=sweep)
    if n_workers == 1 or not str(config.hydra.launcher["_target_"]).endswith("BasicLauncher"):
        return Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task, config=config
        )
    launcher = joblib_api.joblib_launcher(n_workers)
    launcher.setup(hydra_context=context, task_function=task, config=config)
    return launcher


def worker_job(_config: DictConfig, *, sweep: Sweep) -> WorkerReport:
    """One worker, as a Hydra job: takes trials from the study until there are none."""
    settings = sweep.settings
    storage = open_storage(sweep.storage, Path())
    pruner = make_pruner(settings.pruner, n_directions=len(settings.directions))
    study = join_study(storage, sweep.study_name, pruner)
    sweep.folder.mkdir(parents=True, exist_ok=True)
    process = TrainingProcess(
        Application.here(
            sweep.task_function,
            sweep.hydra_context,
            len(settings.directions),
            sweep.command,
            sweep.content,
        ),
        n_workers=settings.n_jobs,
        trials_per_process=settings.trials_per_process,
        output=sweep.folder / TRAINING_LOG,
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


def _compose(sweep: Sweep, _number: int, overrides: list[str]) -> DictConfig:
    composed = sweep.hydra_context.config_loader.load_sweep_config(sweep.config, overrides)
    with flag_override(composed.hydra, ["readonly", "struct"], [False, False]):
        composed.hydra.sweep.dir = str(sweep.folder)
    return composed


def _sampler(sweep: Sweep, number: int) -> BaseSampler:
    settings = sweep.settings
    return distinct_sampler(
        settings.sampler,
        trial_number=number,
        space=sweep.space,
        n_directions=len(settings.directions),
        explicit=explicit_options(typed_overrides(sweep.config, "hydra")),
    )
