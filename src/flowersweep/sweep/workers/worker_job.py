"""The data that a sweep passes to its workers, and a worker as a job of Hydra's launcher."""

import functools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, flag_override
from optuna.samplers import BaseSampler

from flowersweep.doors import hydra_api
from flowersweep.own.main_module import MainModule
from flowersweep.sweep.runs import EXPERIMENT, Runs
from flowersweep.sweep.search.pruner import make_pruner
from flowersweep.sweep.search.sampler import distinct_sampler, make_sampler
from flowersweep.sweep.settings import Settings
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.storage.kept import FOLDER
from flowersweep.sweep.storage.patience import patience
from flowersweep.sweep.storage.storage import open_storage, stopped_in_words
from flowersweep.sweep.study.budget import Budget
from flowersweep.sweep.study.content import Content
from flowersweep.sweep.study.study import join_study
from flowersweep.sweep.workers.engines.sealed import Sealed, hide_passwords
from flowersweep.sweep.workers.isolation.lifeline import ending_with_sweeper
from flowersweep.sweep.workers.messages import Application
from flowersweep.sweep.workers.recorder import Recorder
from flowersweep.sweep.workers.training_process import TrainingProcess
from flowersweep.sweep.workers.worker import Worker, WorkerReport, work

TRAINING_LOG = "training.log"
# Launchers announce the jobs they launch, here workers, and filelock each lock.
TALKATIVE = (hydra_api.LOGGER, "hydra_plugins", "filelock")


@dataclass(frozen=True)
class Sweep:
    """The data of a sweep that every worker needs; it is pickled for other processes.

    Attributes:
        study_name: The study's name in the storage.
        storage: URL of the storage, absolute.
        space: What is searched.
        settings: `hydra.sweeper`.
        budget: Shared by all workers.
        folder: Contains the folders of trials and the log of training processes.
        config: The sweep's configuration, with the `hydra` node.
        hydra_context: Composes trials and runs them.
        task_function: The function that a trial runs.
        sweeper: Identity of the process that launches the workers.
        parent_run_id: The MLflow run of the study, if there is one.
        command: The command that started the sweep.
        content: What the trials read; None if unknown.
        runs: Where the runs of the trials are; None if they are not recorded.
        environment: MLflow's variables, as they were set for another program; None for flowersweep's own trainings.
        main: The module that defines the function, if it is the main one.
        resolvers: The program's resolvers of OmegaConf, packed for training processes.
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
    runs: Runs | None = None
    environment: Mapping[str, str] | None = None
    main: MainModule | None = None
    resolvers: bytes | None = None


@contextmanager
def quiet_loggers() -> Iterator[None]:
    """A block in which the user's logging shows nothing of what runs workers."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def worker_job(config: DictConfig, *, sweep: Sweep | Sealed) -> WorkerReport:
    """A worker as a Hydra job: takes trials from the study until there are none left.

    Args:
        config: The job's, which launchers hand back with its result; the worker composes those of its trials.
        sweep: What the worker does.
    """
    if isinstance(sweep, Sealed):
        sweep = cast(Sweep, sweep.opened())
        hide_passwords(config)
    settings = sweep.settings
    pruner = make_pruner(settings.pruner, n_directions=len(settings.directions))
    with stopped_in_words(), patience(settings.storage_patience):
        storage = open_storage(sweep.storage, Path())
        study = join_study(storage, sweep.study_name, pruner)
    sweep.folder.mkdir(parents=True, exist_ok=True)
    process = TrainingProcess(
        Application.here(
            sweep.task_function,
            sweep.hydra_context,
            len(settings.directions),
            command=sweep.command,
            content=sweep.content,
            names=settings.names,
            main=sweep.main,
            resolvers=sweep.resolvers,
        ),
        n_workers=settings.n_jobs,
        trials_per_process=settings.trials_per_process,
        output=sweep.folder / TRAINING_LOG,
        variables=_variables(sweep),
    )
    worker = Worker(
        study=study,
        space=sweep.space,
        budget=sweep.budget,
        compose=functools.partial(_compose, sweep),
        process=process,
        sampler_for=functools.partial(_sampler, sweep),
        sweeper=sweep.sweeper,
        parent_run_id=sweep.parent_run_id,
        max_retries=settings.max_retries,
        patience=settings.storage_patience,
        folder=sweep.folder / FOLDER,
        recorder=_recorder(sweep),
    )
    with quiet_loggers(), ending_with_sweeper(sweep.sweeper, kill=process.kill):
        return work(worker)


def _variables(sweep: Sweep) -> dict[str, str]:
    """MLflow's variables for another program; that of the experiment comes with the run of each trial."""
    given = sweep.environment or {}
    return {name: value for name, value in given.items() if sweep.runs is None or name != EXPERIMENT}


def _recorder(sweep: Sweep) -> Recorder | None:
    if sweep.runs is None or sweep.environment is None or sweep.parent_run_id is None:
        return None
    settings = sweep.settings
    return Recorder(sweep.runs, settings.names, settings.directions[0] == "maximize")


def _compose(sweep: Sweep, _number: int, overrides: list[str]) -> DictConfig:
    composed = sweep.hydra_context.config_loader.load_sweep_config(sweep.config, overrides)
    with flag_override(composed.hydra, ["readonly", "struct"], [False, False]):
        composed.hydra.sweep.dir = str(sweep.folder)
    hide_passwords(
        composed, "hydra.sweeper", "hydra.overrides.hydra"
    )  # Hydra writes them to a file of the trial
    return composed


def _sampler(sweep: Sweep, number: int) -> BaseSampler:
    settings = sweep.settings
    # What a program adds to a point is known only after its trial has begun.
    made = make_sampler if sweep.space.extension else distinct_sampler
    return made(
        settings.sampler,
        trial_number=number,
        space=sweep.space,
        n_directions=len(settings.directions),
        explicit=settings.explicit,
    )
