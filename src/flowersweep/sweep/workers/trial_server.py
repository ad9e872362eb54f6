"""The main function of a training process: it runs one trial after another through Hydra, and ends with its worker."""

import ctypes
import gc
import os
import platform
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped] # it has no types
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import TaskFunction
from omegaconf import DictConfig, open_dict

from flowersweep.doors import hydra_api
from flowersweep.sweep.study.outcome import Outcome, of_exception, of_value
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
from flowersweep.sweep.workers.trial import Pruned, RunningTrial, running

if TYPE_CHECKING:
    pass

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 1.0


def serve(descriptor: int, worker: int) -> None:
    """Run the jobs that arrive through a socket until None arrives or it is closed.

    Args:
        descriptor: File descriptor of the socket, inherited from the worker.
        worker: The worker's process id.
    """
    _die_with(worker)
    connection = Connection(descriptor)
    application = _received_application(connection)
    while (job := _next_job(connection)) is not None:
        connection.send((OUTCOME, _run(application, job, connection)))
        gc.collect()  # a trained network has many reference cycles; nothing waits for this process here


def _received_application(connection: Connection) -> Application:
    try:
        application = cloudpickle.loads(connection.recv_bytes())
        hydra_api.restore(application.hydra_state)
    except Exception as error:  # noqa: BLE001 - the worker reports it in a message
        connection.send((BROKEN, of_exception(error)))
        raise SystemExit(1) from None
    connection.send((READY,))
    return application  # type: ignore[no-any-return] # unpickling has no types


def _next_job(connection: Connection) -> Job | None:
    try:
        return connection.recv()  # type: ignore[no-any-return] # nor has a socket
    except EOFError:
        return None


def _run(application: Application, job: Job, connection: Connection) -> Outcome:
    def report(step: int, value: float) -> bool:
        connection.send((REPORT, step, value))
        return bool(connection.recv())

    def keep(attrs: dict[str, Any]) -> None:
        connection.send((ATTRS, attrs))

    def leads(value: float) -> bool:
        connection.send((LEADS, value))
        return bool(connection.recv())

    trial = RunningTrial(
        number=job.number,
        study_name=job.study_name,
        params=job.params,
        attempt=job.attempt,
        parent_run_id=job.parent_run_id,
        command=application.command,
        content=application.content,
        _report=report,
        _keep=keep,
        _leads=leads,
    )
    try:
        with running(trial):
            return _outcome(_hydra_job(application, job.config, job.number), application.n_objectives)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - any exception is the outcome of the run
        return of_exception(error)


def _hydra_job(application: Application, config: DictConfig, number: int) -> JobReturn:
    """Run a job as Hydra's launchers do."""
    with open_dict(config):
        config.hydra.job.id = f"{config.hydra.job.name}_{number}"
        config.hydra.job.num = number
    HydraConfig.instance().set_config(config)
    folder = Path(str(config.hydra.sweep.dir)) / str(config.hydra.sweep.subdir)
    with without_empty(folder):
        return run_job(
            task_function=_quiet_about_pruning(application.task_function),
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


def _quiet_about_pruning(task_function: TaskFunction) -> TaskFunction:
    """Return Pruned instead of raising it: Hydra would record it as a failed job."""

    def task(config: DictConfig) -> Any:
        try:
            return task_function(config)
        except Pruned as pruned:
            return pruned

    return task


def _outcome(job: JobReturn, n_objectives: int) -> Outcome:
    result = hydra_api.returned(job)
    if isinstance(result, BaseException):
        return of_exception(result)
    if job.status is not JobStatus.COMPLETED:
        return of_exception(RuntimeError(f"Hydra ended the job with status {job.status.name}"))
    return of_value(result, n_objectives)


def _die_with(worker: int) -> None:
    """Make sure that this process does not outlive its worker, however the worker dies."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != worker:  # it died before the line above
            os._exit(1)
        return
    threading.Thread(target=_watch, args=(worker,), daemon=True).start()


def _watch(worker: int) -> None:
    while os.getppid() == worker:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
