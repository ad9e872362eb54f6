"""Launch workers through Hydra's launcher: in this process, on this machine, or wherever the launcher runs them."""

import functools
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, flag_override
from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from flowersweep.doors import hydra_api
from flowersweep.doors import joblib_launcher_api as joblib_api
from flowersweep.errors import SweepError, SweepStoppedError
from flowersweep.redaction import redacted
from flowersweep.sweep.space.check import probes
from flowersweep.sweep.space.values import text_of
from flowersweep.sweep.storage.patience import STORAGE_FAILURES, patience
from flowersweep.sweep.study.budget import Stop, remaining
from flowersweep.sweep.study.claim import is_abandoned, is_at_work, is_of
from flowersweep.sweep.study.reclaim import reclaim
from flowersweep.sweep.workers.engines.ray import start_ray
from flowersweep.sweep.workers.engines.sealed import Sealed, hide_passwords, sealed
from flowersweep.sweep.workers.stopping import Stopping
from flowersweep.sweep.workers.trial_server import without_empty
from flowersweep.sweep.workers.worker import WorkerReport
from flowersweep.sweep.workers.worker_job import Sweep, quiet_loggers, worker_job
from flowersweep.texts import in_one_line

log = logging.getLogger(__name__)

# How often workers are launched in a row, without a trial that was completed, if a launcher loses them.
MAX_LAUNCHES = 5
WORKERS = "workers"
LOOK_SECONDS = 1.0

# Submitit hands its jobs over in files, and gets their results in files.
_WRITES_FILES = "hydra_submitit_launcher"
_JOBLIBS = "BrokenExecutor"
_LOSSES = frozenset({_JOBLIBS, "UncompletedJobError", "RayError"})


def launch(sweep: Sweep, study: Study) -> list[WorkerReport]:
    """Launch the workers and wait for them; launch them again if a worker process died, or one alone was told to stop.

    If the sweep is stopped, by a signal or by a message in the study, the first report says so.

    Raises:
        SweepError: The workers died repeatedly, and no trial was completed meanwhile; or what they depend on is lost.
        Exception: What a worker raised.
    """
    reports: list[WorkerReport] = []
    n_workers, n_left, n_done = sweep.settings.n_jobs, MAX_LAUNCHES, _n_done(study)
    reason = ""
    head, before = start_ray(sweep.config.hydra.launcher), sweep.budget.stopped_before
    with quiet_loggers(), Stopping(study, before, head.loss, writes=not sweep.settings.join) as stopping:
        while n_left:
            lost = False
            try:
                new = _launch_once(sweep, n_workers)
                kept = [report for report in new if not _was_stopped_alone(report)]
                reports.extend(kept)
                lost = len(kept) < len(new) and remaining(study, sweep.space, sweep.budget) > 0
                n_workers = sweep.settings.n_jobs
                if not lost and all(report.stop is Stop.SPENT for report in reports):
                    _wait_for_others(sweep, study, stopping)
            except KeyboardInterrupt:  # Interrupted, or what Ray raises instead
                log.debug("The workers are not waited for any longer.")
                if stopping.loss is not None:
                    _reclaim(study)
                    raise SweepStoppedError(f"{stopping.loss}; the same command resumes the sweep.") from None
            except Exception as error:
                lost = is_loss(error)
                if not lost and stopping.by is None:
                    raise
                reason = f" ({in_one_line(' '.join(str(error).splitlines()[:2]))[:300]})"
                # joblib ends all its workers when one of them dies; the next ones take over their trials. Other engines
                # let them live, and nobody waits for them now.
                n_workers = max(
                    1, sweep.settings.n_jobs - (0 if _is_joblibs(error) else _n_at_work(sweep, study))
                )
            if stopping.by is not None:
                return [_stopped(stopping, study), *reports]
            if not lost and _done(sweep, study, reports):
                return reports
            if lost:
                log.warning("A worker's process died or was stopped%s; %s.", reason, _restarted(n_workers))
            n_before, n_done = n_done, _n_done(study)
            n_left = MAX_LAUNCHES if n_done > n_before else n_left - 1
    raise SweepError(
        f"The workers' processes died {MAX_LAUNCHES} times{reason}, perhaps because memory is too low; try a smaller "
        "hydra.sweeper.n_jobs. The same command resumes the sweep."
    )


def is_loss(error: BaseException) -> bool:
    """Whether a launcher's error says that a worker was lost: its process, or its machine.

    Recognized by their names, as these packages may not be installed: the BrokenProcessPool of any executor, Submitit's
    UncompletedJobError and Ray's RayError. Two of their subclasses say that a job itself has failed, which would happen again.
    """
    names = {base.__name__ for base in type(error).__mro__}
    return bool(names & _LOSSES) and not names & {"FailedJobError", "RayTaskError"}


def _is_joblibs(error: BaseException) -> bool:
    return any(base.__name__ == _JOBLIBS for base in type(error).__mro__)


def _restarted(n_workers: int) -> str:
    return "another one is started" if n_workers == 1 else f"{n_workers} workers are started"


def _n_done(study: Study) -> int:
    done = (TrialState.COMPLETE, TrialState.PRUNED)
    return len(study.get_trials(deepcopy=False, states=done))


def _n_at_work(sweep: Sweep, study: Study) -> int:
    """The number of living workers of this sweep, each of which has a trial."""
    return sum(is_at_work(trial.user_attrs, sweep.budget.sweep, time.time()) for trial in _running(study))


def _running(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[TrialState.RUNNING])


def _wait_for_others(sweep: Sweep, study: Study, stopping: Stopping) -> None:
    """Wait until no trial is running, or until one waits for a worker because that of another launch or sweep was lost.

    A sweep that has joined leaves this to the one that it has joined, except for its own workers.
    """
    while stopping.by is None and remaining(study, sweep.space, sweep.budget) <= 0:
        joins, name = sweep.settings.join, sweep.budget.sweep
        others = [trial for trial in _running(study) if not joins or is_of(trial.user_attrs, name)]
        if not others:
            return
        if any(is_abandoned(trial.user_attrs, time.time()) for trial in others):
            reclaim(study)
        else:
            time.sleep(LOOK_SECONDS)


def _stopped(stopping: Stopping, study: Study) -> WorkerReport:
    """The report of a sweep that was stopped, after the trials of its dead workers wait again."""
    _reclaim(study)
    stop = Stop.STOPPED if stopping.signal_number is None else Stop.INTERRUPTED
    return WorkerReport(stop, stopping.signal_number, by=stopping.by)


def _reclaim(study: Study) -> None:
    with suppress(*STORAGE_FAILURES), patience(0):
        reclaim(study)


def _done(sweep: Sweep, study: Study, reports: Sequence[WorkerReport]) -> bool:
    stopped = any(report.stop is not Stop.SPENT for report in reports)
    return stopped or remaining(study, sweep.space, sweep.budget) <= 0


def _was_stopped_alone(report: WorkerReport) -> bool:
    """Whether a signal was sent to one worker and not to the sweep: its trial is one for the others, or for new workers."""
    return report.signal_number is not None and report.pid != os.getpid()


def _launch_once(sweep: Sweep, n_workers: int) -> list[WorkerReport]:
    sweep.folder.mkdir(parents=True, exist_ok=True)
    reports = []
    with _launcher(sweep, n_workers) as launcher, without_empty(sweep.folder / WORKERS):
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
        *map(redacted, sweep.space.overrides(next(probes(sweep.space)))),
        f"hydra.sweep.dir={text_of(str(sweep.folder))}",
        f"hydra.sweep.subdir={WORKERS}",
        "hydra.output_subdir=null",
        "hydra.job.chdir=false",
    ]


@contextmanager
def _launcher(sweep: Sweep, n_workers: int) -> Iterator[Launcher]:
    """The configured launcher; joblib if there are several workers and none was chosen."""
    config = deepcopy(sweep.config)
    target = str(config.hydra.launcher["_target_"])
    # For the user's Hydra callbacks, a trial is a job and a worker is not.
    context = hydra_api.without_callbacks(sweep.hydra_context)
    with ExitStack() as stack:
        given: Sweep | Sealed = sweep
        if _WRITES_FILES in target:
            given = stack.enter_context(sealed(sweep))
            _hide(config)
            stack.enter_context(hydra_api.configured(config, context.config_loader))
        with flag_override(config.hydra, ["readonly", "struct"], [False, False]):
            config.hydra.sweep.dir = str(sweep.folder)
        task = functools.partial(worker_job, sweep=given)
        if n_workers > 1 or not target.endswith("BasicLauncher"):  # workers in other processes
            stack.enter_context(hydra_api.sendable_resolvers())
        if n_workers == 1 or not target.endswith("BasicLauncher"):
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=context, task_function=task, config=config
            )
        else:
            launcher = joblib_api.joblib_launcher(n_workers)
            launcher.setup(hydra_context=context, task_function=task, config=config)
        yield launcher


def _hide(config: DictConfig) -> None:
    """Remove passwords from a sweep's configuration; workers compose it again, to be the same, also from files."""
    with flag_override(config.hydra, ["readonly", "struct"], [False, False]):
        config.hydra.overrides.hydra.append("hydra.sweeper.storage=null")
        config.hydra.sweeper.storage = None
    hide_passwords(config, *(str(key) for key in config if key != "hydra"), "hydra.overrides")
