"""Launch workers through Hydra's launcher: in this process, on this machine, or wherever the launcher runs them."""

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from omegaconf import flag_override
from optuna import Study

from flowersweep.doors import hydra_api
from flowersweep.doors import joblib_launcher_api as joblib_api
from flowersweep.errors import SweepError
from flowersweep.interrupt import Interrupted
from flowersweep.sweep.space.check import probes
from flowersweep.sweep.space.values import text_of
from flowersweep.sweep.storage.patience import STORAGE_FAILURES, patience
from flowersweep.sweep.study.budget import Stop, remaining
from flowersweep.sweep.study.reclaim import reclaim
from flowersweep.sweep.workers.stopping import Stopping
from flowersweep.sweep.workers.trial_server import without_empty
from flowersweep.sweep.workers.worker import WorkerReport
from flowersweep.sweep.workers.worker_job import Sweep, worker_job

log = logging.getLogger(__name__)

# How often workers are launched if a launcher loses them all, as joblib does when one of its processes dies.
MAX_LAUNCHES = 5
# They announce the jobs they launch; here these are workers, which are of no interest to the user.
TALKATIVE = (hydra_api.LOGGER, joblib_api.LOGGER)
WORKERS = "workers"


def launch(sweep: Sweep, study: Study) -> list[WorkerReport]:
    """Launch the workers and wait for them; launch them again if a worker process died, or one alone was told to stop.

    If the sweep is stopped, by a signal or by a message in the study, the first report says so.

    Raises:
        SweepError: The workers died repeatedly.
        Exception: What a worker raised.
    """
    reports: list[WorkerReport] = []
    with _quiet(), Stopping(study, sweep.budget.stopped_before, writes=not sweep.settings.join) as stopping:
        for _ in range(MAX_LAUNCHES):
            lost = False
            try:
                new = _launch_once(sweep)
                kept = [report for report in new if not _was_stopped_alone(report)]
                reports.extend(kept)
                lost = len(kept) < len(new) and remaining(study, sweep.space, sweep.budget) > 0
            except Interrupted:
                log.debug("The workers are not waited for any longer.")
            except RuntimeError as error:
                # joblib abandons all workers when one of their processes dies; the next ones take over their trials.
                lost = _is_loss(error)
                if not lost and stopping.by is None:
                    raise
            if stopping.by is not None:
                return [_stopped(stopping, study), *reports]
            if lost:
                log.warning("A worker's process died or was stopped; the workers are restarted.")
            elif _done(sweep, study, reports):
                return reports
    raise SweepError(
        f"The workers' processes died {MAX_LAUNCHES} times, perhaps because memory is too low; try a smaller "
        "hydra.sweeper.n_jobs. The same command resumes the sweep."
    )


def _stopped(stopping: Stopping, study: Study) -> WorkerReport:
    """The report of a sweep that was stopped, after the trials of its dead workers wait again."""
    with suppress(*STORAGE_FAILURES), patience(0):
        reclaim(study)
    stop = Stop.STOPPED if stopping.signal_number is None else Stop.INTERRUPTED
    return WorkerReport(stop, stopping.signal_number, by=stopping.by)


def _done(sweep: Sweep, study: Study, reports: Sequence[WorkerReport]) -> bool:
    stopped = any(report.stop is not Stop.SPENT for report in reports)
    return stopped or remaining(study, sweep.space, sweep.budget) <= 0


def _was_stopped_alone(report: WorkerReport) -> bool:
    """Whether a signal was sent to one worker and not to the sweep: its trial is one for the others, or for new workers."""
    return report.signal_number is not None and report.pid != os.getpid()


def _is_loss(error: RuntimeError) -> bool:
    """Recognize loky's TerminatedWorkerError and the BrokenProcessPool of any executor without importing joblib."""
    return any(base.__name__ == "BrokenExecutor" for base in type(error).__mro__)


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
    """The overrides of a worker: any point, because it composes those of each trial; not in the trials' folders."""
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
    # For the user's Hydra callbacks, a trial is a job and a worker is not.
    context = hydra_api.without_callbacks(sweep.hydra_context)
    task = functools.partial(worker_job, sweep=sweep)
    if n_workers == 1 or not str(config.hydra.launcher["_target_"]).endswith("BasicLauncher"):
        return Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task, config=config
        )
    launcher = joblib_api.joblib_launcher(n_workers)
    launcher.setup(hydra_context=context, task_function=task, config=config)
    return launcher
