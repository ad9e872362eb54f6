"""A trial takes over the result of another one with the same values."""

from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf

from flowersweep.sweep.runs import Runs
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.study.outcome import Outcome, State
from flowersweep.sweep.workers.duplicate import copy_result, duplicate_of
from flowersweep.sweep.workers.recorder import Recorder
from flowersweep.sweep.workers.trial import RunningTrial
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.rules import key_of
from flowersweep.tracking.store.store import prepare_store

SPACE = build_space(["a=1,2", "b=range(0.0,0.3,0.1)"])


def test_the_one_that_was_trained() -> None:
    """Only a complete trial with the same values counts, and none that took its own result over; rounding is no difference."""
    study = optuna.create_study()
    for state, attrs in (("FAIL", {}), ("PRUNED", {}), ("COMPLETE", {"taken_from": 3}), ("COMPLETE", {})):
        study.enqueue_trial({"a": 1, "b": 0.1}, user_attrs=attrs)
        trial = study.ask()
        SPACE.suggest(trial)
        study.tell(trial, 0.5 if state == "COMPLETE" else None, state=optuna.trial.TrialState[state])
    asked = study.ask()
    original = duplicate_of(study, SPACE, asked, {"a": 1, "b": 0.1 + 1e-12})
    assert original is not None
    assert original.number == 3
    assert duplicate_of(study, SPACE, asked, {"a": 2, "b": 0.1}) is None


def test_a_store_that_cannot_be_used(tmp_path: Path) -> None:
    """If the trial can have no run it waits, as it would have waited in training, and is not marked."""
    study = optuna.create_study()
    study.tell(study.ask(), 0.5)
    kept: dict[str, Any] = {}
    running = RunningTrial(1, "s", {}, _keep=kept.update)
    outcome = copy_result(running, study.trials[0], OmegaConf.create({"x": 1}))
    assert (outcome, kept) == (Outcome(State.COMPLETE, (0.5,)), {"taken_from": 0})
    kept.clear()
    tracking = {"experiment": "e", "dir": str(tmp_path), "uri": "ftp://nowhere"}
    outcome = copy_result(running, study.trials[0], OmegaConf.create({"tracking": tracking}))
    assert (outcome.state, kept) == (State.WAITING, {})
    assert "ftp://nowhere" in outcome.reason


def test_a_run_of_another_program(tmp_path: Path) -> None:
    """A duplicate of a program that is recorded has a run too, with the values of its original and a tag that says so."""
    study = optuna.create_study(direction="minimize")
    study.tell(study.ask(), 0.5)
    kept: dict[str, Any] = {}
    store = prepare_store(tmp_path)
    parent = MLflowTracker.start(store, "train", "study")
    running = RunningTrial(1, "s", {"db@x": 0.1}, parent_run_id=parent.run_id, _keep=kept.update)
    recorder = Recorder(Runs(tmp_path, None, "train"), ("loss",), maximize=False)
    outcome = copy_result(running, study.trials[0], OmegaConf.create({}), recorder)
    run = client(store.uri).get_run(kept["mlflow_run_id"])
    assert outcome == Outcome(State.COMPLETE, (0.5,))
    assert (run.info.status, run.data.tags["taken_from"]) == ("FINISHED", "0")
    assert (run.data.params, run.data.metrics["order"]) == ({key_of("db@x"): "0.1"}, -0.5)
