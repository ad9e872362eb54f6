"""The main function of a training process: it runs one trial after another through Hydra, and ends with its worker."""

import gc
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped] # it has no types
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import TaskFunction
from omegaconf import DictConfig, open_dict

from flowersweep.doors import hydra_api
from flowersweep.interrupt import Interrupted, interruptible
from flowersweep.sweep.study.outcome import Outcome, of_exception, of_value
from flowersweep.sweep.workers.isolation.channel import Channel
from flowersweep.sweep.workers.isolation.lifeline import die_with_worker
from flowersweep.sweep.workers.isolation.process_state import restored
from flowersweep.sweep.workers.isolation.shutdown import signal_of_submitit
from flowersweep.sweep.workers.messages import (
    ATTRS,
    BROKEN,
    LEADS,
    OUTCOME,
    READY,
    REPORT,
    Application,
    Job,
)
from flowersweep.sweep.workers.trial import TRIAL, Pruned, RunningTrial, running


def serve(descriptor: int, worker: int) -> None:
    """Run the jobs that arrive through a socket until None arrives or it is closed.

    Args:
        descriptor: File descriptor of the socket, inherited from the worker.
        worker: The worker's process id.
    """
    die_with_worker(worker)
    if (number := signal_of_submitit()) is not None:
        # Slurm sends it to all processes of a job; the worker obeys it, and then ends this one.
        signal.signal(number, signal.SIG_IGN)
    channel = Channel(descriptor)
    application = _received_application(channel)
    while (job := _next_job(channel)) is not None:
        outcome = _run(application, job, channel)
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None if the sweep was started without one
            with suppress(OSError):  # of a full disk or a closed terminal, which must not cost the outcome
                stream.flush()  # what a trial has printed is in the log when it has ended
        channel.say(OUTCOME, outcome, job=job)
        gc.collect()  # a trained network has many reference cycles; nothing waits for this process here


def _received_application(channel: Channel) -> Application:
    try:
        main, content = pickle.loads(channel.received())  # noqa: S301 - of the worker
        if main is not None:
            main.run()
        application = cloudpickle.loads(content)
        resolvers = application.resolvers and cloudpickle.loads(application.resolvers)
        hydra_api.restore(application.hydra_state, resolvers)
    except Exception as error:  # noqa: BLE001 - the worker reports it in a message
        channel.say(BROKEN, of_exception(error))
        raise SystemExit(1) from None
    channel.say(READY)
    return application  # type: ignore[no-any-return] # unpickling has no types


def _next_job(channel: Channel) -> Job | None:
    try:
        return channel.next_job()
    except Exception as error:  # noqa: BLE001 - the worker reports it in a message
        channel.say(BROKEN, of_exception(error))
        raise SystemExit(1) from None


def _run(application: Application, job: Job, channel: Channel) -> Outcome:
    trial = RunningTrial(
        number=job.number,
        study_name=job.study_name,
        params={**job.params, **job.values},
        attempt=job.attempt,
        parent_run_id=job.parent_run_id,
        command=application.command,
        content=application.content,
        _report=partial(channel.ask, job, REPORT),
        _keep=partial(channel.tell, job, ATTRS),
        _leads=partial(channel.ask, job, LEADS),
    )
    try:
        with restored(), interruptible(), channel.of(job), running(trial):
            os.environ.update({**job.environment, TRIAL: str(job.number)})
            return _outcome(_hydra_job(application, job, channel), application)
    except Interrupted as interruption:
        # The worker is told by which signal this process died, and not that it was a KeyboardInterrupt.
        signal.signal(interruption.signal_number, signal.SIG_DFL)
        signal.raise_signal(interruption.signal_number)
        raise
    except BaseException as error:  # noqa: BLE001 - any exception is the outcome of the run
        return of_exception(error)


def _hydra_job(application: Application, job: Job, channel: Channel) -> JobReturn:
    """Run a job as Hydra's launchers do."""
    config = job.config
    with open_dict(config):
        config.hydra.job.id = f"{config.hydra.job.name}_{job.number}"
        config.hydra.job.num = job.number
    HydraConfig.instance().set_config(config)
    folder = Path(str(config.hydra.sweep.dir)) / str(config.hydra.sweep.subdir)
    with without_empty(folder):
        return run_job(
            task_function=_as_job(application.task_function, channel),
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=application.hydra_context,
        )


@contextmanager
def without_empty(folder: Path) -> Iterator[None]:
    """Remove a folder that the block created if it is empty at the end; an existing one stays.

    Hydra creates a folder for every job, even if nothing is stored in it.
    """
    existed = folder.exists()
    yield
    if not existed:
        with suppress(OSError):  # it is not empty, or does not exist
            folder.rmdir()


def _as_job(task_function: TaskFunction, channel: Channel) -> TaskFunction:
    """Return Pruned instead of raising it, which Hydra would record as a failed job; end a forked child that returns."""

    def task(config: DictConfig) -> Any:
        try:
            return task_function(config)
        except Pruned as pruned:
            return pruned
        finally:
            if not channel.is_of_this_process:
                _end_child(sys.exception())

    return task


def _end_child(error: BaseException | None) -> None:
    """End a process that a trial has forked and that came back from it: the trial goes on in its parent only."""
    if error is not None:
        traceback.print_exception(error)
    os._exit(0 if error is None else 1)


def _outcome(job: JobReturn, application: Application) -> Outcome:
    result = hydra_api.returned(job)
    if isinstance(result, BaseException):
        return of_exception(result)
    if job.status is not JobStatus.COMPLETED:
        return of_exception(RuntimeError(f"Hydra ended the job with status {job.status.name}"))
    return of_value(result, application.n_objectives, application.names)
