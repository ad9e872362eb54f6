"""What must hold for a finished sweep, whatever happened to it: its trials, their runs in MLflow, and the best model."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState

from benchmarks.fresh import environment
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.attributes import RUN_ID
from flowersweep.tracking.mlflow_api import client

OBJECTIVE = "best/val_accuracy"
PER_EPOCH = "val_accuracy"
# A model is evaluated in other batches than during its training.
TOLERANCE = 1e-6
_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "FINISHED", TrialState.FAIL: "FAILED"}


@dataclass
class Findings:
    """What was found; everything but `trials`, `attempts` and `failed` must be 0.

    Attributes:
        trials: Finished trials.
        attempts: Runs of trials in MLflow.
        failed: Trials that failed.
        lost: Trials that are missing or have not ended.
        doubled: Trials beyond the budget, and trained results beyond one per trial.
        running: What is RUNNING in Optuna or MLflow.
        epochs_doubled: Epochs logged more than once.
        epochs_missing: Epochs of complete trials that were not logged.
        different: Trials whose run in MLflow has another state, value or parameter.
        models: Best models that cannot be loaded or have another accuracy.
        problems: All of that in words.
    """

    trials: int = 0
    attempts: int = 0
    failed: int = 0
    lost: int = 0
    doubled: int = 0
    running: int = 0
    epochs_doubled: int = 0
    epochs_missing: int = 0
    different: int = 0
    models: int = 0
    problems: list[str] = field(default_factory=list)

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(
            **{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)}
        )

    def line(self) -> str:
        """The numbers in one line, and the problems below it."""
        numbers = [f"{one.name.replace('_', ' ')} {getattr(self, one.name)}" for one in fields(self)[:-1]]
        return "\n  ".join([", ".join(numbers), *self.problems])

    def is_bad(self) -> bool:
        """Whether anything was lost, doubled, different or left open."""
        return bool(self.problems)

    def add(self, name: str, count: int, problem: str) -> None:
        """Count problems of a kind."""
        if count:
            setattr(self, name, getattr(self, name) + count)
            self.problems.append(problem)


def check(folder: Path, uri: str, n_trials: int, pictures: Path | None = None) -> Findings:
    """Check the only study of a folder.

    Args:
        folder: `tracking.dir`.
        uri: The tracking store.
        n_trials: The budget.
        pictures: The folder of the pictures; None for synthetic ones.
    """
    storage = open_storage(None, folder)
    trials = optuna.load_study(study_name=None, storage=storage).trials
    store = client(uri)
    experiments = [one.experiment_id for one in store.search_experiments()]
    runs = list(store.search_runs(experiments, max_results=5000))
    attempts = [run for run in runs if run.data.tags.get("kind") == "trial"]
    found = Findings(trials=sum(trial.state.is_finished() for trial in trials), attempts=len(attempts))
    found.failed = sum(trial.state is TrialState.FAIL for trial in trials)
    _budget(found, trials, attempts, n_trials)
    running = [f"trial {trial.number}" for trial in trials if trial.state is TrialState.RUNNING]
    running += [f"run {run.info.run_id}" for run in runs if run.info.status == "RUNNING"]
    found.add("running", len(running), f"RUNNING: {', '.join(running)}")
    by_id = {run.info.run_id: run for run in runs}
    for trial in trials:
        if trial.state is TrialState.COMPLETE or RUN_ID in trial.user_attrs:
            _same(found, trial, by_id.get(trial.user_attrs.get(RUN_ID, "")))
    for run in attempts:
        _epochs(found, store, run)
    _best_model(found, folder, uri, trials, _folder_of(pictures))
    return found


def _budget(found: Findings, trials: Sequence[FrozenTrial], attempts: Sequence[Run], n_trials: int) -> None:
    ended = {trial.number for trial in trials if trial.state.is_finished()}
    lost = sorted(set(range(n_trials)) - ended)
    found.add("lost", len(lost), f"lost: trials {lost}")
    found.add("doubled", max(0, len(trials) - n_trials), f"{len(trials)} trials of {n_trials}")
    trained = Counter(run.data.tags["trial"] for run in attempts if run.info.status == "FINISHED")
    again = {number: count for number, count in trained.items() if count > 1}
    found.add("doubled", sum(again.values()) - len(again), f"trained more than once: {again}")


def _same(found: Findings, trial: FrozenTrial, run: Run | None) -> None:
    if run is None:
        found.add("different", 1, f"trial {trial.number} has no run")
        return
    pairs: dict[str, tuple[Any, Any]] = {"state": (_STATUS.get(trial.state, "KILLED"), run.info.status)}
    if trial.state is TrialState.COMPLETE:
        pairs["value"] = (trial.value, run.data.metrics.get(OBJECTIVE))
    for name, value in trial.params.items():
        pairs[name] = (value, float(run.data.params.get(name, "nan")))
    wrong = {name: pair for name, pair in pairs.items() if not _equal(*pair)}
    found.add("different", bool(wrong), f"trial {trial.number} and run {run.info.run_id}: {wrong}")


def _equal(one: Any, other: Any) -> bool:
    return (
        abs(one - other) < 1e-9 if isinstance(one, float) and isinstance(other, float) else bool(one == other)
    )


def _epochs(found: Findings, store: MlflowClient, run: Run) -> None:
    steps = Counter(point.step for point in store.get_metric_history(run.info.run_id, PER_EPOCH))
    twice = sorted(step for step, count in steps.items() if count > 1)
    found.add("epochs_doubled", len(twice), f"run {run.info.run_id} has epochs {twice} more than once")
    if run.info.status == "FINISHED" and "taken_from" not in run.data.tags:
        expected = range(1, round(run.data.metrics.get("total/epochs", 0)) + 1)
        missing = sorted(set(expected) - set(steps))
        found.add("epochs_missing", len(missing), f"run {run.info.run_id} has no epochs {missing}")


def _best_model(
    found: Findings, folder: Path, uri: str, trials: Sequence[FrozenTrial], pictures: str
) -> None:
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if not complete:
        return
    best = max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))
    command = [sys.executable, "-m", "flowersweep", "evaluate", f"run={best.user_attrs[RUN_ID]}"]
    command += ["subset=validation", "format=json", f"tracking.dir={folder}", f"tracking.uri={uri}"]
    done = subprocess.run(
        [*command, f"data.dir={pictures}"], env=environment(), capture_output=True, text=True, check=False
    )
    accuracy = json.loads(done.stdout)["accuracy"] if done.returncode == 0 else float("nan")
    good = abs(accuracy - (best.value or 0.0)) < TOLERANCE
    said = done.stderr.strip().splitlines()[-1:] if done.returncode else accuracy
    found.add("models", not good, f"the model of trial {best.number} with {best.value}: {said}")


def _folder_of(pictures: Path | None) -> str:
    if pictures is not None:
        return str(pictures)
    from flowersweep.config import cache_dir

    cache = Path(os.environ.get("FLOWERSWEEP_CACHE") or cache_dir(None))
    return str(next(path for path in cache.glob("demo-*-*") if path.is_dir()))
