"""Tests of the runs of trials that could not end them themselves."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf

from flowersweep.sweep.study.attributes import FAIL_REASON, LOST, RUN_ID
from flowersweep.sweep.study.outcome import Outcome, State, of_death, of_exception
from flowersweep.sweep.workers.failed_run import record_failure, record_lost
from flowersweep.sweep.workers.messages import Job
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return prepare_store(tmp_path)


@pytest.fixture
def job(store: Store, tmp_path: Path) -> Job:
    """Trial 3 of a study that has a run."""
    config = OmegaConf.create({"tracking": {"experiment": "e", "dir": str(tmp_path), "uri": None}})
    return Job(config, 3, "s", {"x": 0.5}, 1, MLflowTracker.start(store, "e", "study").run_id)


@pytest.mark.parametrize("closed", [False, True], ids=["left running", "closed as that of a dead process"])
def test_the_latest_run_of_the_trial_fails(store: Store, job: Job, *, closed: bool) -> None:
    """After a death the run of the last attempt is FAILED with the reason, and those of others stay as they are."""
    runs = [
        MLflowTracker.start(store, "e", "t", parent_run_id=job.parent_run_id, tags={"trial": trial})
        for trial in (3, 3, 4)
    ]
    runs[0].end(RunStatus.KILLED)
    if closed:
        runs[1].end(RunStatus.KILLED)
    run_id = record_failure(job, of_death(-11))
    found = [client(store.uri).get_run(run.run_id) for run in runs]

    assert run_id == runs[1].run_id
    assert [run.info.status for run in found] == ["KILLED", "FAILED", "RUNNING"]
    assert [run.data.tags.get("failure") for run in found] == [
        None,
        "Its process was killed by SIGSEGV.",
        None,
    ]


def test_a_run_is_created_if_there_is_none(store: Store, job: Job) -> None:
    """A trial that failed before it had a run gets one, with its values, the reason and the traceback."""
    run_id = record_failure(job, of_exception(ValueError("no such layer")))
    assert run_id is not None
    run = client(store.uri).get_run(run_id)

    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "ValueError: no such layer"
    assert run.data.tags["mlflow.parentRunId"] == job.parent_run_id
    assert (run.data.params, run.data.metrics) == ({"x": "0.5"}, {"searched/x": 0.5})
    assert [file.path for file in client(store.uri).list_artifacts(run_id)] == ["failure.txt"]


def test_runs_of_dead_workers_fail_with_their_trials(store: Store) -> None:
    """A trial that failed because its workers died has a FAILED run with the reason; other runs stay as they are."""
    study = optuna.create_study()
    runs = [MLflowTracker.start(store, "e", "t") for _ in range(3)]
    runs[0].end(RunStatus.KILLED)
    runs[1].tags({"failure": "its own"})
    runs[1].end(RunStatus.FAILED)
    runs[2].end(RunStatus.KILLED)
    reason = "Its worker died 4 times while running it."
    for run, attrs in zip(runs, [{LOST: 4}, {LOST: 1}, {}], strict=True):
        study.enqueue_trial({}, user_attrs={RUN_ID: run.run_id, FAIL_REASON: reason, **attrs})
        study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    record_lost(study, store)
    found = [client(store.uri).get_run(run.run_id) for run in runs]

    assert [run.info.status for run in found] == ["FAILED", "FAILED", "KILLED"]
    assert [run.data.tags.get("failure") for run in found] == [reason, "its own", None]


def test_a_store_that_cannot_be_used_costs_no_outcome(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    """Without a store the failure is still the trial's; without runs nothing is looked for."""
    failure = Outcome(State.FAIL, reason="bad")
    job.config.tracking.uri = "ftp://nowhere"

    assert record_failure(job, failure) is None
    assert "Trial 3: its failure was not stored in MLflow: " in caplog.text
    job.config.tracking.experiment = None
    assert record_failure(job, failure) is None
    assert record_failure(replace(job, parent_run_id=None), failure) is None
