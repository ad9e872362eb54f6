"""An application of a second: a real Hydra command line around objectives that train nothing.

`python small_app.py --multirun x=interval(0,1) hydra.sweeper.n_trials=5` is a sweep with all but TensorFlow.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from flowersweep import process
from flowersweep.errors import FlowersweepError, Pruned
from flowersweep.interrupt import Interrupted
from flowersweep.sweep.workers.trial import RunningTrial, running_trial

# A training process imports this file too, and has no need of these.
if TYPE_CHECKING:
    import optuna
    import pytest

NODE = {
    "defaults": [
        "_self_",
        {"override hydra/sweeper": "study"},
        {"override hydra/job_logging": "none"},
        {"override hydra/hydra_logging": "none"},
    ],
    "kind": "plain",
    "x": 0.5,
    "y": 0,
    "shape": "round",
    "seed": 3,
    "seconds": 0.0,
    "long": 1,
    "tracking": {"dir": "results"},
    "hydra": {
        "output_subdir": None,
        "sweep": {"dir": "${tracking.dir}/sweeps/${oc.select:hydra.study,other}"},
        "run": {"dir": "."},
        "sweeper": {"direction": "maximize", "on_mismatch": "error"},
    },
}


def configure(**changes: Any) -> None:
    """Make the application's configuration known to Hydra, as a changed file would be."""
    ConfigStore.instance().store(name="small_app", node={**NODE, **changes}, replace=True)


configure()


def plain(cfg: DictConfig, _trial: RunningTrial | None) -> Any:
    """The value is x + y, less for what is not round."""
    return float(cfg.x) + int(cfg.y) - (cfg.shape != "round")


def two(cfg: DictConfig, _trial: RunningTrial | None) -> Any:
    """Two objectives that pull in opposite directions."""
    return [float(cfg.x), -float(cfg.x)]


def failing(cfg: DictConfig, _trial: RunningTrial | None) -> Any:
    """Fail for every x over one half."""
    if cfg.x > 0.5:
        raise ValueError(f"x is {cfg.x}")
    return float(cfg.x)


def pruned(cfg: DictConfig, trial: RunningTrial | None) -> Any:
    """Report five times; odd trials want no more after two."""
    assert trial is not None
    for step in range(5):
        trial.report(step, cfg.x * step)
        if trial.number % 2 and step == 1:
            raise Pruned("odd")
    return cfg.x * 4


def killing_worker(cfg: DictConfig, trial: RunningTrial | None) -> Any:
    """The first beginning of trial 2 kills the worker's process."""
    assert trial is not None
    mark = Path(cfg.tracking.dir, "killed")
    if trial.number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(30)
    return float(cfg.x)


def killing_workers(_cfg: DictConfig, _trial: RunningTrial | None) -> Any:
    """Kill the worker, always."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)


def with_a_child(cfg: DictConfig, _trial: RunningTrial | None) -> Any:
    """Leave a forked child behind that would sleep for long."""
    if (child := os.fork()) == 0:
        time.sleep(600)
    with Path(cfg.tracking.dir, "children").open("a", encoding="utf-8") as file:
        file.write(f"{child}\n")
    return float(cfg.x)


def with_mlflow(cfg: DictConfig, trial: RunningTrial | None) -> Any:
    """Use MLflow as programs do, and end in another way in each trial; the values have names."""
    import mlflow

    assert trial is not None
    for step in (1, 2):
        trial.report(step, cfg.x * step)
    if trial.number == 0:
        mlflow.log_metric("mine", 7)  # starts a run and leaves it open
    else:
        with mlflow.start_run():
            mlflow.log_metric("mine", 8)
    if trial.number == 2:
        raise ValueError("no such layer")
    if trial.number == 3:
        raise Pruned("enough")
    return {"loss": 1.0, "accuracy": float(cfg.x)}


def without_mlflow(cfg: DictConfig, _trial: RunningTrial | None) -> Any:
    """Fail if the process has imported MLflow or what only flowersweep's own trainings need, or has lost a variable."""
    for module in ("mlflow", "keras", "tensorflow", "matplotlib"):
        assert module not in sys.modules, module
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://nowhere.invalid"
    return float(cfg.x)


KINDS = {
    function.__name__: function
    for function in (
        plain,
        two,
        failing,
        pruned,
        killing_worker,
        killing_workers,
        with_a_child,
        with_mlflow,
        without_mlflow,
    )
}


@hydra.main(
    config_path=str(Path(__file__).parent),
    config_name="small_app",
    execution_whitelist=("hydra.*", "hydra_plugins.*", "optuna.*", "logging.*"),
)
def main(cfg: DictConfig) -> Any:
    """Wait, then return what `kind` says."""
    trial = running_trial()
    with Path(cfg.tracking.dir, "marks").open("a", encoding="utf-8") as file:
        file.write(f"{trial.number if trial else -1} {os.getpid()} {os.getppid()}\n")
    is_long = trial is not None and trial.number == 0 and not Path(cfg.tracking.dir, "quick").exists()
    time.sleep(cfg.seconds * (cfg.long if is_long else 1))
    return KINDS[cfg.kind](cfg, trial)


def study(name: str | None = None) -> "optuna.Study":
    """A study of the current folder; the only one if it has no name."""
    import optuna

    return optuna.load_study(study_name=name, storage=_storage())


def names() -> list[str]:
    """The studies of the current folder."""
    return sorted(found.study_name for found in _storage().get_all_studies())


def _storage() -> "optuna.storages.BaseStorage":
    from flowersweep.sweep.storage.storage import open_storage

    return open_storage(None, Path("results"))


def beginnings() -> list[list[int]]:
    """Trial number, process and its parent of everything that began, in that order."""
    marks = Path("results", "marks")
    lines = marks.read_text(encoding="utf-8").splitlines() if marks.exists() else []
    return [[int(word) for word in line.split()] for line in lines]


def children() -> list[int]:
    """The processes that `with_a_child` has started."""
    listed = Path("results", "children")
    return [int(line) for line in listed.read_text(encoding="utf-8").split()] if listed.exists() else []


def lives(pid: int) -> bool:
    """Whether there is a process that is no zombie."""
    return not (process.start_of(pid) or "ended").endswith("ended")


def sweep(monkeypatch: "pytest.MonkeyPatch", *arguments: str) -> None:
    """Run a sweep in this process, as the command line would; errors come through."""
    monkeypatch.setattr(sys, "argv", ["small_app.py", "--multirun", *arguments])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    main()


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a sweep in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, __file__, "--multirun", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a sweep."""
    out, err = running.communicate(timeout=240)
    return running.returncode, out, err


def wait_for(condition: Callable[[], bool], seconds: float = 240) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        main()
    except Interrupted as interruption:
        sys.exit(128 + interruption.signal_number)
    except FlowersweepError as error:
        sys.exit(f"small_app: {error}")
