"""A tiny application with a sweep around it: what the tests run as real processes, and kill.

`python stub_app.py SETTINGS` (JSON of `Settings`) is a sweeper with `workers` processes; their children import this file.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna
from hydra import initialize
from hydra._internal.callbacks import Callbacks
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from flowersweep import process
from flowersweep.errors import DataError, TrackingError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.budget import Budget
from flowersweep.sweep.study.outcome import Outcome
from flowersweep.sweep.study.reclaim import reclaim
from flowersweep.sweep.study.study import join_study, open_study
from flowersweep.sweep.workers.messages import Application, Job
from flowersweep.sweep.workers.training_process import Relay, TrainingProcess
from flowersweep.sweep.workers.trial import Pruned, running_trial
from flowersweep.sweep.workers.worker import Worker, WorkerReport, work


@dataclass
class Settings:
    """One sweep of the stub application."""

    folder: str
    objective: str = "quick"
    storage: str | None = None
    study: str = "stub"
    n_trials: int | None = 40
    search: list[str] = field(default_factory=lambda: ["x=interval(0,1)"])
    seconds: float = 0.0
    workers: int = 1
    timeout: float | None = None
    max_failures: int | None = None
    max_failures_in_a_row: int | None = None
    max_retries: int = 1
    patience: float = 0.0
    trials_per_process: int = 8
    pruner: bool = False
    sweeper: dict[str, str] | None = None
    parent_run_id: str | None = None


LAST_TO_END_WAITS_FOR = 20

TROUBLES = {
    "pictures": DataError("The picture folder /pictures does not exist."),
    "store": TrackingError("Cannot start a run: the server is away."),
    "disk": OSError(errno.ENOSPC, "No space left on device", "/cache/x"),
    "file": FileNotFoundError(errno.ENOENT, "No such file or directory", "/x.csv"),
}


def quick(cfg: DictConfig) -> float:
    """Return x after `seconds`."""
    time.sleep(cfg.seconds)
    return float(cfg.x)


def leaving_marks(cfg: DictConfig) -> float:
    """Write down every beginning: trial number and process id."""
    trial = running_trial()
    assert trial is not None
    with Path(cfg.folder, "marks").open("a", encoding="utf-8") as file:
        file.write(f"{trial.number} {os.getpid()} {trial.attempt}\n")
    return quick(cfg)


def marking_twice(cfg: DictConfig) -> float:
    """The same in a forked child as well."""
    os.fork()
    return leaving_marks(cfg)


def killed_once(cfg: DictConfig) -> float:
    """Trial 2 is killed the first time that it runs."""
    trial = running_trial()
    assert trial is not None
    if trial.number == 2 and trial.attempt == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return leaving_marks(cfg)


def killed_always(cfg: DictConfig) -> float:
    """Trial 1 is killed whenever it runs."""
    trial = running_trial()
    assert trial is not None
    if trial.number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return float(cfg.x)


def ending_badly(cfg: DictConfig) -> Any:
    """Every trial ends in another way, by its number."""
    trial = running_trial()
    assert trial is not None
    if trial.number == 0:
        raise ValueError(f"no such picture in {cfg.folder}\nand more of it")
    if trial.number == 6:
        trial.report(0, 0.5)
        trial.report(1, 0.75)
        raise Pruned("enough")
    if trial.number == 7:
        sys.exit(3)
    if trial.number == 8:
        os._exit(9)
    return {1: float("nan"), 2: None, 3: "0.5", 4: float("inf"), 5: [1.0]}.get(trial.number, 0.25)


def always_raising(cfg: DictConfig) -> float:
    """Fail."""
    raise RuntimeError(f"trial with x={cfg.x:.3f} cannot work")


def reporting(cfg: DictConfig) -> float:
    """Report x five times."""
    trial = running_trial()
    assert trial is not None
    trial.user_attrs({"run_id": f"run-{trial.number}", "pid": os.getpid()})
    for step in range(5):
        trial.report(step, float(cfg.x))
    return float(cfg.x)


def in_trouble(cfg: DictConfig) -> float:
    """Fail as the file `trouble` says, from the second trial on; return x while there is no such file."""
    trial, trouble = running_trial(), Path(cfg.folder, "trouble")
    assert trial is not None
    time.sleep(cfg.seconds)
    if trial.number > 0 and trouble.exists():
        raise TROUBLES[trouble.read_text(encoding="utf-8")]
    return float(cfg.x)


def counting(cfg: DictConfig) -> float:
    """Report by attempt and step, `seconds` apart; return the number of the attempt, or leave a mark if interrupted."""
    # Half a second that the other objectives need not wait for.
    from flowersweep.interrupt import Interrupted, interruptible

    trial = running_trial()
    assert trial is not None
    try:
        with interruptible():
            trial.user_attrs({"attempt": trial.attempt, "pid": os.getpid()})
            for step in range(1, 31 if trial.number == 0 else 2):
                trial.report(step, 100.0 * trial.attempt + step)
                time.sleep(cfg.seconds)
    except Interrupted:
        Path(cfg.folder, f"interrupted-{trial.number}-{trial.attempt}").touch()
        raise
    return float(trial.attempt)


def last_to_end(cfg: DictConfig) -> float:
    """Trial 0 goes on until LAST_TO_END_WAITS_FOR others have ended, and fails if they do not within a minute."""
    trial, ends = running_trial(), Path(cfg.folder, "ends")
    assert trial is not None
    if trial.number > 0:
        with ends.open("a", encoding="utf-8") as file:
            file.write("x")
        return float(cfg.x)
    until = time.monotonic() + 60
    while not ends.exists() or ends.stat().st_size < LAST_TO_END_WAITS_FOR:
        assert time.monotonic() < until
        time.sleep(0.01)
    return float(cfg.x)


def space_of(settings: Settings) -> Space:
    """The search space."""
    return build_space(settings.search)


def context(*fixed: str) -> tuple[HydraContext, Callable[[int, list[str]], DictConfig]]:
    """Hydra without its command line: the context of a sweep, and a function that composes a trial with some overrides more."""
    node = {
        "defaults": [
            "_self_",
            {"override hydra/job_logging": "none"},
            {"override hydra/hydra_logging": "none"},
        ],
        "x": 0.0,
        "seconds": 0.0,
        "folder": "",
        "tracking": {"experiment": None, "dir": "${folder}", "uri": None},
        "hydra": {"output_subdir": None},
    }
    ConfigStore.instance().store(name="stub", node=node, replace=True)
    if not GlobalHydra.instance().is_initialized():
        initialize(config_path=None, job_name="stub")
    loader = GlobalHydra.instance().config_loader()
    master = loader.load_configuration("stub", overrides=[], run_mode=RunMode.MULTIRUN)

    def compose(_number: int, overrides: list[str]) -> DictConfig:
        return loader.load_sweep_config(master, [*fixed, *overrides, f"hydra.sweep.dir={Path.cwd()}"])

    return HydraContext(config_loader=loader, callbacks=Callbacks()), compose


def application(objective: str, n_objectives: int = 1) -> Application:
    """One of the objectives as a training process gets it."""
    hydra_context, _ = context()
    return Application.here(globals()[objective], hydra_context, n_objectives)


class Listener:
    """Is told what a worker and its training process say to each other; does nothing itself."""

    def trial_began(self, number: int, params: Mapping[str, Any]) -> None:
        """A trial has its values and is about to run."""

    def trial_reported(self, number: int, step: int, value: float) -> None:
        """A trial has a value after a step, of which the study does not know yet."""

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """A trial has ended, of which the study does not know yet."""


class Overheard(TrainingProcess):
    """A training process with a listener between it and its worker."""

    def __init__(self, listener: Listener, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._listener = listener

    def run(self, job: Job, relay: Relay) -> Outcome | None:
        """Run a trial."""
        listener = self._listener
        listener.trial_began(job.number, job.params)
        answer = relay.report

        def report(step: int, value: float) -> bool:
            listener.trial_reported(job.number, step, value)
            return answer(step, value)

        relay.report = report  # type: ignore[method-assign] # the relay is this trial's own
        outcome = super().run(job, relay)
        if outcome is not None:
            listener.trial_ended(job.number, outcome)
        return outcome


def run_worker(settings: Settings, listener: Listener | None = None) -> WorkerReport:
    """Join the study and work until there is nothing left."""
    tracked = [] if settings.parent_run_id is None else ["tracking.experiment=e"]
    _, compose = context(f"seconds={settings.seconds}", f"folder={settings.folder}", *tracked)
    study = join_study(
        open_storage(settings.storage, Path(settings.folder)),
        settings.study,
        pruner=optuna.pruners.ThresholdPruner(lower=0.5, n_warmup_steps=1) if settings.pruner else None,
    )
    budget = Budget.begun(
        study,
        settings.n_trials,
        is_grid=settings.n_trials is None,
        timeout=settings.timeout,
        max_failures=settings.max_failures,
        max_failures_in_a_row=settings.max_failures_in_a_row,
    )
    worker = Worker(
        study,
        space_of(settings),
        budget,
        compose,
        Overheard(
            listener or Listener(),
            application(settings.objective),
            n_workers=settings.workers,
            trials_per_process=settings.trials_per_process,
        ),
        sampler_for=lambda number: optuna.samplers.RandomSampler(seed=number),
        sweeper=settings.sweeper,
        parent_run_id=settings.parent_run_id,
        max_retries=settings.max_retries,
        patience=settings.patience,
        folder=Path(settings.folder, "untold"),
    )
    return work(worker)


def prepare(settings: Settings) -> optuna.Study:
    """What a sweeper does before it launches workers."""
    storage = open_storage(settings.storage, Path(settings.folder))
    study = open_study(storage, settings.study, space_of(settings).definition(), ["maximize"])
    reclaim(study)
    return study


def sweep(settings: Settings) -> list[dict[str, Any]]:
    """Run a sweep with its workers; return what they report."""
    prepare(settings)
    if settings.workers == 1:
        return [asdict(run_worker(settings))]
    joining = json.dumps(asdict(settings) | {"sweeper": process.identity()})
    workers = [
        subprocess.Popen([sys.executable, __file__, joining], stdout=subprocess.PIPE)
        for _ in range(settings.workers)
    ]
    return [json.loads(worker.communicate()[0] or "{}") for worker in workers]


def command(settings: Settings) -> list[str]:
    """The command line of a sweep."""
    return [sys.executable, __file__, json.dumps(asdict(settings))]


def main(arguments: Mapping[str, Any]) -> None:
    """Be a sweeper, or one of its workers."""
    settings = Settings(**arguments)
    os.chdir(settings.folder)
    report = asdict(run_worker(settings)) if settings.sweeper else sweep(settings)
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
