"""Tests of flowersweep.tracking.orphaned_runs, with processes that really die."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from flowersweep import process
from flowersweep.tracking import orphaned_runs
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import CLOSED_TAG, close_orphaned_runs
from flowersweep.tracking.outbox.delivery import settle
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, experiment_id, prepare_store

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

# A process with the id of this one, which lives no more.
ELSEWHERE = {"host": "another-host", "process_start": "another-boot pid:[4026531836] 1"}
EARLIER = process.identity()[process.START_TAG].rsplit(" ", 1)[0] + " 1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A SQLite store shared by the tests of this file."""
    return prepare_store(tmp_path_factory.mktemp("results"))


def start(store: Store, experiment: str, **tags: str) -> MLflowTracker:
    """Start a run whose process tags are as given."""
    return MLflowTracker.start(
        store, experiment, "run", tags={f"flowersweep.{key}": tags[key] for key in tags}
    )


def status(store: Store, run_id: str) -> str:
    """Return what the store holds as the run's status."""
    return str(client(store.uri).get_run(run_id).info.status)


def test_only_runs_of_dead_processes_of_this_host_are_closed(store: Store) -> None:
    """The run of a killed process is KILLED with the reason; the others stay as they were."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        owner = {"pid": str(child.pid), "process_start": process.start_of(child.pid) or ""}
        dead, ended = start(store, "mixed", **owner), start(store, "mixed", **owner)
        ended.end(RunStatus.FAILED)
        living, foreign = start(store, "mixed"), start(store, "mixed", **owner | ELSEWHERE)
        number = experiment_id(store, "mixed")
        assert close_orphaned_runs(store, [number]) == []
        child.kill()
    assert close_orphaned_runs(store, [number]) == [dead.run_id]
    assert status(store, dead.run_id) == "KILLED"
    told = client(store.uri).get_run(dead.run_id).data.tags[CLOSED_TAG]
    assert told.startswith(f"process {owner['pid']} on ")
    assert [status(store, run.run_id) for run in (ended, living, foreign)] == ["FAILED", "RUNNING", "RUNNING"]
    assert close_orphaned_runs(store, [number]) == []
    living.end(RunStatus.FINISHED)


def test_runs_of_another_machine_with_the_same_name_are_left_alone(store: Store) -> None:
    """Two machines that are both called `ubuntu` do not close each other's runs."""
    namespace = process.identity()[process.START_TAG].split(" ")[1]
    run = start(store, "ubuntu", process_start=f"another-boot {namespace} 4711", machine="fedcba9876543210")
    assert close_orphaned_runs(store, [experiment_id(store, "ubuntu")]) == []
    assert status(store, run.run_id) == "RUNNING"
    run.end(RunStatus.FINISHED)


def test_other_experiments_are_left_alone(store: Store) -> None:
    """Only the experiments asked for are looked at, and none is no error."""
    run = start(store, "other", process_start=EARLIER)
    assert close_orphaned_runs(store, []) == []
    assert close_orphaned_runs(store, [experiment_id(store, "empty")]) == []
    assert status(store, run.run_id) == "RUNNING"
    assert close_orphaned_runs(store, [experiment_id(store, "other")]) == [run.run_id]


def test_a_resumed_run_belongs_to_the_process_that_resumed_it(store: Store) -> None:
    """After resuming, the dead first owner no longer matters."""
    first = start(store, "resumed", process_start=EARLIER)
    second = MLflowTracker.resume(store, first.run_id)
    assert close_orphaned_runs(store, [experiment_id(store, "resumed")]) == []
    second.end(RunStatus.FINISHED)
    assert status(store, first.run_id) == "FINISHED"


@pytest.mark.parametrize("then", ["resumed", "finished"])
def test_a_run_that_others_took_since_it_was_found_is_left_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """A run that another process resumes or ends between the search and its closing is not closed."""
    run, number = start(store, then, process_start=EARLIER), experiment_id(store, then)
    search = orphaned_runs.orphaned_runs

    def found(*arguments: Any) -> list[Any]:
        runs = search(*arguments)
        if then == "resumed":
            MLflowTracker.resume(store, run.run_id)
        else:
            run.end(RunStatus.FINISHED)
        return runs

    monkeypatch.setattr(orphaned_runs, "orphaned_runs", found)

    assert close_orphaned_runs(store, [number]) == []
    assert status(store, run.run_id) == {"resumed": "RUNNING", "finished": "FINISHED"}[then]


def test_a_resumed_run_is_never_of_a_dead_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that looks for orphaned runs just when a run is RUNNING again does not find it."""
    run, number = start(store, "taken", process_start=EARLIER), experiment_id(store, "taken")
    run.end(RunStatus.KILLED)
    found, update = [], MlflowClient.update_run

    def updated(service: MlflowClient, *arguments: Any, **named: Any) -> None:
        update(service, *arguments, **named)
        found.append(orphaned_runs.orphaned_runs(store, [number]))

    monkeypatch.setattr(MlflowClient, "update_run", updated)
    MLflowTracker.resume(store, run.run_id)

    assert found == [[]]


def test_a_run_whose_end_waits_on_disk_is_no_orphan(store: Store) -> None:
    """Its process has ended it; while the files before that cannot be stored, nothing else is said of it."""
    run, number = start(store, "waiting", process_start=EARLIER), experiment_id(store, "waiting")
    obstacle = (store.artifact_root or Path()) / "waiting"
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("a file where a folder is needed", encoding="utf-8")
    run.text("a", "a.txt")
    run.end(RunStatus.FINISHED)
    assert status(store, run.run_id) == "RUNNING"

    assert orphaned_runs.orphaned_runs(store, [number]) == []
    assert close_orphaned_runs(store, [number]) == []
    obstacle.unlink()
    settle(store.uri, store.outboxes, 0)
    found = client(store.uri).get_run(run.run_id)
    assert (found.info.status, CLOSED_TAG in found.data.tags) == ("FINISHED", False)


def test_an_unknown_experiment_has_no_runs(store: Store) -> None:
    """An experiment that does not exist is no error: there is nothing to close."""
    assert close_orphaned_runs(store, ["424242"]) == []


@pytest.mark.slow
def test_a_run_whose_process_was_killed_is_closed(store: Store) -> None:
    """`kill -9` in the middle of a run leaves it RUNNING; reconciling makes it KILLED and keeps its metrics."""
    code = (
        "import sys, time; from flowersweep.tracking.mlflow_tracker import *;"
        "run = MLflowTracker.start(Store(sys.argv[1], Path(sys.argv[2])), 'killed', 'run');"
        "run.metrics({'loss': 0.5}, step=3); print(run.run_id, flush=True); time.sleep(120)"
    )
    command = [sys.executable, "-c", code, store.uri, str(store.artifact_root or Path())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENV) as training:
        assert training.stdout is not None
        run_id = training.stdout.readline().strip()
        number = experiment_id(store, "killed")
        assert close_orphaned_runs(store, [number]) == []
        training.send_signal(signal.SIGKILL)
    assert status(store, run_id) == "RUNNING"
    assert close_orphaned_runs(store, [number]) == [run_id]
    run = client(store.uri).get_run(run_id)
    assert (run.info.status, run.data.metrics) == ("KILLED", {"loss": 0.5})
    assert run.info.end_time >= run.info.start_time
