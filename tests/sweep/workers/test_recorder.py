"""A worker records the trials of another program: what they report and how they end."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from flowersweep.sweep.runs import Runs
from flowersweep.sweep.study.outcome import Outcome, State, of_death
from flowersweep.sweep.workers.messages import Job
from flowersweep.sweep.workers.recorder import Recorder
from flowersweep.sweep.workers.training_process import Relay, TrainingProcess
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.rules import key_of, searched_key
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store

CONFIG = OmegaConf.create({"hydra": {"overrides": {"task": ["x=1", "y=2"]}}})


class Talk(TrainingProcess):
    """A training process of which only what it says exists."""

    def __init__(self, says: Callable[[Job, Relay], Outcome | None]) -> None:
        self._says = says

    def run(self, job: Job, relay: Relay) -> Outcome | None:
        """Say it."""
        return self._says(job, relay)


class Study:
    """The relay of a worker: keeps what a trial says, and stops it at step 2."""

    def __init__(self) -> None:
        self.attrs: dict[str, Any] = {}
        self.reports: list[tuple[int, float]] = []

    def report(self, step: int, value: float) -> bool:
        """Keep it."""
        self.reports.append((step, value))
        return step == 2

    def keep(self, attrs: Mapping[str, Any]) -> None:
        """Keep them."""
        self.attrs.update(attrs)

    def leads(self, value: float) -> bool:
        """Yes, if it is positive."""
        return value > 0

    def must_stop(self) -> bool:
        """No."""
        return False


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return prepare_store(tmp_path)


@pytest.fixture
def job(store: Store) -> Job:
    """A trial below the run of a study in the experiment `train`."""
    parent = MLflowTracker.start(store, "train", "study")
    return Job(CONFIG, 4, "s", {"x": 1, "y": "b"}, 1, parent.run_id)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A recorder of one objective."""
    return Recorder(Runs(tmp_path, None, "train"), ("accuracy",), maximize=True)


def test_what_a_trial_says(store: Store, job: Job, recorder: Recorder) -> None:
    """Reports reach the study and the run, whose id the trial has in its environment; the objective has its name.

    What the program has logged itself is kept, except tags by which the trial is found.
    """
    study = Study()
    seen: dict[str, Any] = {}

    def says(told: Job, relay: Relay) -> Outcome:
        seen.update(told.environment)
        client(store.uri).log_param(told.environment["MLFLOW_RUN_ID"], "y", {"a": "group"})
        client(store.uri).set_tag(told.environment["MLFLOW_RUN_ID"], "trial", "of mine")
        seen["answers"] = [relay.report(1, 0.25), relay.report(2, 0.5), relay.leads(0.5), relay.must_stop()]
        return Outcome(State.COMPLETE, (0.75,))

    assert recorder.run(Talk(says), job, study) == Outcome(State.COMPLETE, (0.75,))
    run = client(store.uri).get_run(study.attrs["mlflow_run_id"])
    assert study.reports == [(1, 0.25), (2, 0.5)]
    assert seen == {
        "MLFLOW_TRACKING_URI": store.uri,
        "MLFLOW_EXPERIMENT_ID": run.info.experiment_id,
        "MLFLOW_RUN_ID": run.info.run_id,
        "answers": [False, True, True, False],
    }
    history = client(store.uri).get_metric_history(run.info.run_id, "reported")
    assert [(one.step, one.value) for one in history] == [(1, 0.25), (2, 0.5)]
    assert run.data.metrics.items() >= {"accuracy": 0.75, "searched/x": 1.0, "order": 0.75}.items()
    assert run.data.params == {"x": "1", "y": "{'a': 'group'}"}
    assert run.data.tags.items() >= {"kind": "trial", "trial": "4", "attempt": "1", "study": "s"}.items()


def test_objectives_without_names(store: Store, job: Job, tmp_path: Path) -> None:
    """All of them are in the run, as in Optuna's tables."""
    study = Study()
    recorder = Recorder(Runs(tmp_path, None, "train"), (), maximize=False)
    recorder.run(Talk(lambda _job, _relay: Outcome(State.COMPLETE, (0.75, 3.0))), job, study)
    run = client(store.uri).get_run(study.attrs["mlflow_run_id"])
    assert run.data.metrics.items() >= {"values_0": 0.75, "values_1": 3.0}.items()


def test_names_of_searched_values(store: Store, job: Job, recorder: Recorder) -> None:
    """Those that MLflow does not allow are replaced, each by one of its own; a text may contain half of a character."""
    study = Study()
    params = {"db@x": 1, "db_x": 2, "..": "a\ud800\0", "k" * 300: 10**400}
    recorder.run(
        Talk(lambda _job, _relay: Outcome(State.COMPLETE, (0.75,))), replace(job, params=params), study
    )
    run = client(store.uri).get_run(study.attrs["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert len(run.data.params) == 4
    assert run.data.params.items() >= {key_of("db@x"): "1", "db_x": "2", key_of(".."): r"a\ud800\x00"}.items()
    searched = {name: value for name, value in run.data.metrics.items() if name.startswith("searched/")}
    assert searched == {
        "searched/db_x": 2,
        f"searched/{key_of('db@x')}": 1,
        searched_key("k" * 300): sys.float_info.max,
    }


def test_a_result_that_is_refused(
    store: Store, job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run ends with its trial all the same."""
    study = Study()
    recorder = Recorder(Runs(tmp_path, None, "train"), ("f1 @ 5",), maximize=False)
    recorder.run(Talk(lambda _job, _relay: Outcome(State.COMPLETE, (0.75,))), job, study)
    run = client(store.uri).get_run(study.attrs["mlflow_run_id"])
    assert (run.info.status, run.data.tags["trial.state"]) == ("FINISHED", "COMPLETE")
    assert "Trial 4: Cannot log under the name 'f1 @ 5'" in caplog.text


def test_a_program_with_a_store_of_its_own(job: Job, recorder: Recorder) -> None:
    """If MLflow refuses to go on with the run of the trial there, the reason says what to do."""
    study = Study()

    def says(told: Job, _relay: Relay) -> Outcome:
        run_id = told.environment["MLFLOW_RUN_ID"]
        return Outcome(State.FAIL, reason=f"MlflowException: Run with id={run_id} not found")

    outcome = recorder.run(Talk(says), job, study)
    assert outcome is not None
    assert outcome.reason == (
        f"MlflowException: Run with id={study.attrs['mlflow_run_id']} not found. The program uses another store or experiment of "
        "MLflow than its sweep: name the same ones in MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME, or leave the runs to the "
        "program with hydra.sweeper.tracking=none."
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (Outcome(State.PRUNED, reason="It was pruned."), ("FINISHED", "PRUNED")),
        (of_death(-9), ("FAILED", "FAIL")),
        (Outcome(State.WAITING, reason="The disk is full."), ("KILLED", "WAITING")),
        (None, ("KILLED", "WAITING")),
    ],
)
def test_how_it_ends(
    outcome: Outcome | None, end: tuple[str, str], store: Store, job: Job, recorder: Recorder
) -> None:
    """Every end of a trial, also of its process, is that of its run."""
    study = Study()
    assert recorder.run(Talk(lambda _job, _relay: outcome), job, study) == outcome
    run = client(store.uri).get_run(study.attrs["mlflow_run_id"])
    assert (run.info.status, run.data.tags["trial.state"]) == end
    assert run.data.tags.get("failure", "") == (outcome.reason if outcome and end[1] == "FAIL" else "")


def test_a_run_of_a_silent_machine(store: Store, job: Job, recorder: Recorder) -> None:
    """The run of the attempt on a machine that was cut off is KILLED, also if that machine ends it as FINISHED later."""
    its = {"study": "s", "kind": "trial", "trial": 4, "flowersweep.process_start": "another-boot pid:[1] 1"}
    there = MLflowTracker.start(
        store, "train", "old", parent_run_id=job.parent_run_id, tags={**its, "flowersweep.host": "another"}
    )
    study = Study()
    recorder.run(Talk(lambda _job, _relay: Outcome(State.COMPLETE, (0.75,))), job, study)
    there.end(RunStatus.FINISHED)

    before, now = (client(store.uri).get_run(one) for one in (there.run_id, study.attrs["mlflow_run_id"]))
    assert (before.info.status, now.info.status) == ("KILLED", "FINISHED")
    assert before.data.tags["flowersweep.superseded_by"] == now.info.run_id


def test_a_store_that_is_away(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial waits for it before it starts, and a worker that is told to stop meanwhile stops."""
    monkeypatch.setattr("flowersweep.sweep.workers.recorder.PAUSE_SECONDS", 0.01)
    study = Study()
    answers = iter([False, False, True])
    monkeypatch.setattr(study, "must_stop", lambda: next(answers))
    process = Talk(lambda _job, _relay: pytest.fail("The trial was started."))
    recorder = Recorder(Runs(tmp_path, "http://127.0.0.1:1", "train"), (), maximize=True)
    assert recorder.run(process, job, study) is None
    assert next(answers, "all were asked for") == "all were asked for"


def test_a_store_without_the_study(job: Job, recorder: Recorder, store: Store) -> None:
    """A trial that can have no run waits, and its sweep ends; it is not started."""
    lost = replace(job, parent_run_id="0" * 32)
    outcome = recorder.run(Talk(lambda _job, _relay: pytest.fail("The trial was started.")), lost, Study())
    assert outcome is not None
    assert (outcome.state, "0" * 32 in outcome.reason) == (State.WAITING, True)
    assert len(client(store.uri).search_runs(["1"])) == 1


def test_a_run_that_is_deleted(
    job: Job, recorder: Recorder, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody who deletes the run of a running trial does not lose its result."""

    def says(told: Job, relay: Relay) -> Outcome:
        client(store.uri).delete_run(told.environment["MLFLOW_RUN_ID"])
        relay.report(1, 0.5)
        return Outcome(State.COMPLETE, (0.75,))

    assert recorder.run(Talk(says), job, Study()) == Outcome(State.COMPLETE, (0.75,))
    assert "Trial 4: Cannot log the metrics of run" in caplog.text
