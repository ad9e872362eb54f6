"""Tests of one worker with real training processes; `test_engine.py` has several of them, and kills them."""

import json
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest

from flowersweep import process
from flowersweep.errors import SweepError, SweepStoppedError
from flowersweep.sweep.storage.lock import file_lock
from flowersweep.sweep.storage.stop_message import write_stop
from flowersweep.sweep.study.attributes import DEATHS, FAIL_REASON, OWNER, RUN_ID, TRACEBACK
from flowersweep.sweep.study.budget import Stop
from flowersweep.sweep.study.outcome import Outcome
from flowersweep.sweep.workers.worker import WorkerReport
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import prepare_store


class Sweeps:
    """Runs sweeps in this process, and reads their study."""

    def __init__(self, stub: Any, folder: Path) -> None:
        self.stub = stub
        self.folder = folder

    def __call__(self, objective: str, n_trials: int | None, **changes: Any) -> WorkerReport:
        """Run a sweep with one worker."""
        listener = changes.pop("listener", None)
        settings = self.stub.Settings(str(self.folder), objective, n_trials=n_trials, **changes)
        self.stub.prepare(settings)
        report: WorkerReport = self.stub.run_worker(settings, listener)
        return report

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All trials of the study, read from the file."""
        return optuna.load_study(study_name="stub", storage=f"sqlite:///{self.folder}/optuna.db").trials

    @property
    def states(self) -> list[str]:
        """The states by trial number."""
        return [trial.state.name for trial in self.trials]


@pytest.fixture
def sweep(stub: Any, tmp_path: Path) -> Sweeps:
    """Sweeps in a folder of their own."""
    return Sweeps(stub, tmp_path)


@pytest.mark.slow
def test_every_end_has_its_state_and_reason(sweep: Sweeps) -> None:
    """Exceptions, useless values, exits and pruning end a trial each in its own way, and the sweep goes on."""
    report = sweep("ending_badly", 10, max_retries=0)
    reasons = [trial.user_attrs.get(FAIL_REASON) for trial in sweep.trials]

    assert sweep.states == ["FAIL"] * 6 + ["PRUNED", "FAIL", "FAIL", "COMPLETE"]
    assert reasons == [
        f"ValueError: no such picture in {sweep.folder}",
        "It returned nan; the objective must be a finite number.",
        "It returned None; the objective must be a number.",
        "It returned '0.5', a str; the objective must be a number.",
        "It returned inf; the objective must be a finite number.",
        "It returned [1.0], a list; the objective must be a number.",
        None,
        "SystemExit: 3",
        "Its process ended with exit code 9.",
        None,
    ]
    assert "in ending_badly" in sweep.trials[0].user_attrs[TRACEBACK]
    assert (sweep.trials[6].value, sweep.trials[9].value) == (0.75, 0.25)
    assert report.counts == {"COMPLETE": 1, "PRUNED": 1, "FAIL": 8, "WAITING": 0}
    assert report.stop is Stop.SPENT


@pytest.mark.slow
def test_resume_runs_what_is_missing_and_can_be_extended(sweep: Sweeps) -> None:
    """The same command runs only what is missing, with the values an uninterrupted sweep would have had."""
    assert sweep("quick", 3).counts["COMPLETE"] == 3
    assert sweep("quick", 3).counts["COMPLETE"] == 0
    assert sweep("quick", 5).counts["COMPLETE"] == 2
    sweep("quick", 5, study="stub-at-once")
    at_once = optuna.load_study(study_name="stub-at-once", storage=f"sqlite:///{sweep.folder}/optuna.db")

    assert [trial.number for trial in sweep.trials] == [0, 1, 2, 3, 4]
    assert [trial.params for trial in sweep.trials] == [trial.params for trial in at_once.trials]


@pytest.mark.slow
def test_killed_child_costs_one_retry(sweep: Sweeps) -> None:
    """A trial whose process is killed is run once more under its number, and the sweep goes on."""
    report = sweep("killed_once", 4)
    marks = (sweep.folder / "marks").read_text().split("\n")

    assert sweep.states == ["COMPLETE"] * 4
    assert [trial.user_attrs.get(DEATHS) for trial in sweep.trials] == [None, None, 1, None]
    assert [mark.split()[0::2] for mark in marks if mark] == [["0", "0"], ["1", "0"], ["2", "1"], ["3", "0"]]
    assert report.counts["COMPLETE"] == 4


@pytest.mark.slow
def test_child_that_always_dies_fails(sweep: Sweeps) -> None:
    """A trial whose processes all die has failed with the signal's name after its retries, and has a FAILED run."""
    store = prepare_store(sweep.folder)
    parent = MLflowTracker.start(store, "e", "study").run_id
    sweep("killed_always", 3, max_retries=1, parent_run_id=parent)
    run = client(store.uri).get_run(sweep.trials[1].user_attrs[RUN_ID])

    assert sweep.states == ["COMPLETE", "FAIL", "COMPLETE"]
    assert sweep.trials[1].user_attrs[FAIL_REASON] == "Its process was killed by SIGSEGV."
    assert sweep.trials[1].user_attrs[DEATHS] == 2
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == sweep.trials[1].user_attrs[FAIL_REASON]
    assert (run.data.tags["trial"], run.data.tags["attempt"]) == ("1", "1")
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.params == {"x": str(sweep.trials[1].params["x"])}
    assert [RUN_ID in trial.user_attrs for trial in sweep.trials] == [False, True, False]


class Recorder:
    """A listener between worker and training process (`stub_app.Listener`) that writes down what it is told."""

    def __init__(
        self, at_report: Callable[[], None] = lambda: None, at_end: Callable[[], None] = lambda: None
    ) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.at_report = at_report
        self.at_end = at_end

    def trial_began(self, number: int, params: Mapping[str, Any]) -> None:
        """Keep it."""
        self.told.append(("began", number, sorted(params)))

    def trial_reported(self, number: int, step: int, value: float) -> None:
        """Keep it."""
        self.told.append(("reported", number, step, round(value, 3)))
        self.at_report()

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        """Keep it."""
        self.told.append(("ended", number, outcome.state.value))
        self.at_end()


@pytest.mark.slow
def test_pruner_judges_reports_and_listener_hears_them(sweep: Sweeps) -> None:
    """Reports go to the study, the pruner ends hopeless trials, attributes are stored, the listener hears it."""
    listener = Recorder()
    report = sweep("reporting", 6, pruner=True, listener=listener)
    for trial in sweep.trials:
        good = trial.params["x"] >= 0.5
        told = [entry for entry in listener.told if entry[1] == trial.number]

        assert trial.state.name == ("COMPLETE" if good else "PRUNED")
        assert list(trial.intermediate_values) == ([0, 1, 2, 3, 4] if good else [0, 1])
        assert trial.value == trial.params["x"]
        assert trial.user_attrs["run_id"] == f"run-{trial.number}"
        assert [entry[0] for entry in told] == [
            "began",
            *["reported"] * len(trial.intermediate_values),
            "ended",
        ]
    assert report.counts["PRUNED"] == sweep.states.count("PRUNED") > 0


@pytest.mark.slow
def test_second_attempt_is_judged_where_the_first_did_not_come(sweep: Sweeps) -> None:
    """Values of an earlier attempt are replaced, and steps that it had survived are not judged again."""
    settings = sweep.stub.Settings(str(sweep.folder), "reporting", n_trials=1, pruner=True)
    study = sweep.stub.prepare(settings)
    study.enqueue_trial({"x": 0.25})
    trial = study.ask()
    for step in range(3):
        trial.report(0.75, step)
    sweep("reporting", 1, pruner=True)

    assert sweep.trials[0].intermediate_values == {0: 0.25, 1: 0.25, 2: 0.25, 3: 0.25}
    assert sweep.trials[0].state.name == "PRUNED"


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "n_run"), [({"max_failures": 3}, 3), ({"max_failures_in_a_row": 2}, 2)])
def test_failures_stop_it(sweep: Sweeps, limit: dict[str, int], n_run: int) -> None:
    """After so many failures no further trial is begun."""
    report = sweep("always_raising", 20, **limit)

    assert report.stop is Stop.FAILURES
    assert sweep.states == ["FAIL"] * n_run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("disk", "/cache/x cannot be written: no space is left on the disk at /"),
        ("pictures", "The picture folder /pictures does not exist."),
        ("store", "Cannot start a run: the server is away."),
    ],
)
def test_infrastructure_that_fails_ends_it_and_no_trial(sweep: Sweeps, trouble: str, reason: str) -> None:
    """A trial without disk, pictures or store waits, no other is begun, and the same sweep goes on once they are back."""
    (sweep.folder / "trouble").write_text(trouble)
    report = sweep("in_trouble", 4, max_failures=1)
    (hindrance,) = [trial.user_attrs["hindrance"] for trial in sweep.trials[1:]]
    params = sweep.trials[1].params

    assert report.stop is Stop.INFRASTRUCTURE
    assert report.counts == {"COMPLETE": 1, "PRUNED": 0, "FAIL": 0, "WAITING": 1}
    assert sweep.states == ["COMPLETE", "WAITING"]
    assert hindrance["reason"].startswith(reason)
    (sweep.folder / "trouble").unlink()
    assert sweep("in_trouble", 4).stop is Stop.SPENT
    assert sweep.states == ["COMPLETE"] * 4
    assert sweep.trials[1].params == params


@pytest.mark.slow
def test_a_program_that_misses_its_file_has_failed(sweep: Sweeps) -> None:
    """A file that is not there is the failure of the program that looks for it: the sweep goes on."""
    (sweep.folder / "trouble").write_text("file")
    report = sweep("in_trouble", 3)

    assert report.stop is Stop.SPENT
    assert sweep.states == ["COMPLETE", "FAIL", "FAIL"]


@pytest.mark.slow
def test_timeout_lets_the_running_trial_finish(sweep: Sweeps) -> None:
    """After the time is up no trial is begun, but the one that runs is finished."""
    report = sweep("quick", 20, seconds=3.1, timeout=3)

    assert report.stop is Stop.TIMEOUT
    assert sweep.states == ["COMPLETE"]


@pytest.mark.slow
def test_trial_that_cannot_be_composed_fails(sweep: Sweeps) -> None:
    """An override that Hydra refuses is the trial's failure, with Hydra's reason."""
    sweep("quick", 2, search=["x=interval(0,1)", "no_such_key=1"])

    assert sweep.states == ["FAIL", "FAIL"]
    assert "no_such_key" in sweep.trials[0].user_attrs[TRACEBACK]


@pytest.mark.slow
@pytest.mark.parametrize("finished", [False, True], ids=["runs", "finished"])
def test_trial_taken_over_is_not_told(
    sweep: Sweeps, caplog: pytest.LogCaptureFixture, *, finished: bool
) -> None:
    """A trial that another machine took keeps what that one writes: nothing is added, whether it runs there or has ended."""
    storage = f"sqlite:///{sweep.folder}/optuna.db"

    def take_over() -> None:
        study = optuna.load_study(study_name="stub", storage=storage)
        (trial,) = study.trials
        owner = trial.user_attrs[OWNER] | {"claim": "another"}
        study._storage.set_trial_user_attr(trial._trial_id, OWNER, owner)
        study._storage.set_trial_intermediate_value(trial._trial_id, 0, 7.0)
        if finished:
            study.tell(trial.number, 8.0)

    listener = Recorder(take_over)
    report = sweep("reporting", 1, listener=listener)
    (taken,) = sweep.trials

    assert (taken.state.name, taken.value) == (("COMPLETE", 8.0) if finished else ("RUNNING", None))
    assert taken.intermediate_values == {0: 7.0}
    assert set(report.counts.values()) == {0}
    assert [entry[0] for entry in listener.told] == ["began", "reported"]
    assert caplog.text.count("Trial 0 was taken over by another worker") == 1

    sweep.stub.prepare(sweep.stub.Settings(str(sweep.folder)))  # the other one lives, so its trial is its own
    assert sweep.states == [taken.state.name]


@pytest.mark.slow
def test_storage_that_breaks_ends_it_with_a_sentence(sweep: Sweeps) -> None:
    """If the database fails under a sweep, its error is said in one sentence and no process is left behind."""
    pids: list[int] = []

    def spoil() -> None:
        pids.extend(trial.user_attrs["pid"] for trial in sweep.trials if not pids)
        with sqlite3.connect(sweep.folder / "optuna.db") as connection:
            connection.execute("DROP TABLE trial_intermediate_values")
        connection.close()

    with pytest.raises(SweepError, match="refused a request: no such table: trial_intermediate_values"):
        sweep("reporting", 2, listener=Recorder(spoil))

    assert _all_end(pids)


@pytest.mark.slow
def test_storage_that_takes_no_values_fails_no_trial(sweep: Sweeps) -> None:
    """A database that cannot store a trial's values ends the sweep; the trial waits for the same command."""

    def execute(statement: str) -> None:
        with sqlite3.connect(sweep.folder / "optuna.db") as connection:
            connection.execute(statement)
        connection.close()

    def spoil() -> None:
        execute("CREATE TRIGGER t BEFORE INSERT ON trial_params BEGIN INSERT INTO away VALUES (1); END")

    with pytest.raises(SweepStoppedError, match=r"no such table: main\.away; the same command resumes"):
        sweep("quick", 2, listener=Recorder(at_end=spoil))
    assert sweep.states == ["COMPLETE", "WAITING"]
    execute("DROP TRIGGER t")
    sweep("quick", 2)

    assert sweep.states == ["COMPLETE", "COMPLETE"]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Another program writes to the database during the block."""
    holder = sqlite3.connect(folder / "optuna.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    yield
    holder.execute("ROLLBACK")
    holder.close()


@pytest.mark.slow
def test_locked_storage_costs_nothing_but_time(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is locked while trials report, end and get their values changes no value, and trains nothing again."""
    monkeypatch.setattr("flowersweep.sweep.storage.storage.SQLITE_BUSY_SECONDS", 0.05)
    monkeypatch.setattr("flowersweep.sweep.study.held_trial.RETRY_SECONDS", 0.1)

    calls: list[None] = []

    def lock() -> None:
        calls.append(None)
        if len(calls) in {1, 6, 7, 12}:  # the first report and the end of each trial
            block = _locked(sweep.folder)
            block.__enter__()
            threading.Timer(0.4, block.__exit__, (None, None, None)).start()

    report = sweep("reporting", 2, listener=Recorder(lock, lock), patience=60)

    assert report.counts["COMPLETE"] == 2
    # Those of RandomSampler(seed=number), as without a lock.
    assert [trial.value for trial in sweep.trials] == [0.5488135039273248, 0.417022004702574]
    for trial in sweep.trials:
        assert trial.intermediate_values == dict.fromkeys(range(5), trial.params["x"])
        assert trial.user_attrs["run_id"] == f"run-{trial.number}"
    assert not (sweep.folder / "untold").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "number"), [(0.5, None), (3600, signal.SIGTERM)], ids=["too-long", "signal"]
)
def test_a_result_that_could_not_be_told(sweep: Sweeps, seconds: float, number: int | None) -> None:
    """A worker that gives up waiting, or is told to stop, leaves its result on disk; the next sweep stores it."""
    settings = sweep.stub.Settings(
        str(sweep.folder), "leaving_marks", n_trials=1, seconds=0.5, patience=seconds
    )
    running = subprocess.Popen(
        sweep.stub.command(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    marks = sweep.folder / "marks"
    _wait_until(marks.exists)
    with _locked(sweep.folder):
        if number is not None:
            _wait_until((sweep.folder / "untold").exists)
            time.sleep(0.5)
            began = time.monotonic()
            running.send_signal(number)
        output, said = running.communicate(timeout=240)
        if number is not None:
            assert time.monotonic() - began < 120
            assert json.loads(output)[0]["signal_number"] == number
        else:
            assert "no longer responds: database is locked; the same command resumes the sweep" in said
    assert sweep.states == ["RUNNING"]
    sweep("leaving_marks", 1)
    (trial,) = sweep.trials

    assert (trial.state.name, trial.value) == ("COMPLETE", trial.params["x"])
    assert len(marks.read_text().splitlines()) == 1
    assert not (sweep.folder / "untold").exists()


@pytest.mark.slow
def test_paused_worker_leaves_alone_what_another_took(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that wakes up after another one finished its trial writes nothing, stops its training and takes the next."""
    settings = sweep.stub.Settings(str(sweep.folder), "counting", n_trials=3, seconds=0.1)
    study = sweep.stub.prepare(settings)
    paused = subprocess.Popen(sweep.stub.command(settings), stdout=subprocess.PIPE, start_new_session=True)
    _wait_until(lambda: any(len(trial.intermediate_values) >= 2 for trial in study.trials))
    with file_lock(sweep.folder / "optuna.db"):  # paused while it writes, it would keep everybody waiting
        paused.send_signal(signal.SIGSTOP)
    # As if it ran on another machine, which was silent for longer than one waits for it.
    owner = study.trials[0].user_attrs[OWNER] | {process.HOST_TAG: "elsewhere", process.START_TAG: ""}
    study._storage.set_trial_user_attr(study.trials[0]._trial_id, OWNER, owner)
    monkeypatch.setattr("flowersweep.sweep.study.claim.GRACE_SECONDS", 0.0)
    sweep("counting", 1)
    taken = sweep.trials[0]
    paused.send_signal(signal.SIGCONT)
    output, _ = paused.communicate(timeout=120)
    (report,) = json.loads(output)

    assert (taken.state.name, taken.value, taken.user_attrs["lost"]) == ("COMPLETE", 1.0, 1)
    assert taken.intermediate_values == {step: 100.0 + step for step in range(1, 31)}
    assert sweep.trials[0] == taken
    assert sweep.states == ["COMPLETE"] * 3
    assert (report["stop"], report["counts"]["COMPLETE"]) == (Stop.SPENT, 2)
    assert (sweep.folder / "interrupted-0-0").exists()


def _wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def _run_until_marked(
    stub: Any, folder: Path, objective: str = "leaving_marks", n_marks: int = 1
) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Start a sweep whose trials are long; return it and the training processes once a trial has begun."""
    settings = stub.Settings(str(folder), objective, n_trials=3, seconds=600.0)
    running = subprocess.Popen(stub.command(settings), start_new_session=True, stdout=subprocess.PIPE)
    marks = folder / "marks"
    until = time.monotonic() + 120
    while not marks.exists() or marks.read_text().count("\n") < n_marks:
        assert running.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    return running, [int(line.split()[1]) for line in marks.read_text().splitlines()]


def _all_end(pids: list[int], within: float = 60.0) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        if all((process.start_of(pid) or "ended").endswith("ended") for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_signal_leaves_the_trial_waiting(sweep: Sweeps, number: int) -> None:
    """After SIGINT or SIGTERM the trial waits in place, and its process is gone within seconds."""
    running, pids = _run_until_marked(sweep.stub, sweep.folder)
    running.send_signal(number)
    output, _ = running.communicate(timeout=120)

    assert f'"signal_number": {int(number)}'.encode() in output
    assert sweep.states == ["WAITING"]
    assert _all_end(pids)


@pytest.mark.slow
def test_message_leaves_the_trial_waiting(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message in the study ends the running trial, which waits in place; a later sweep goes on with it, as another attempt."""
    monkeypatch.setattr("flowersweep.sweep.study.held_trial.LOOK_SECONDS", 0.0)

    def stop() -> None:
        storage = f"sqlite:///{sweep.folder}/optuna.db"
        write_stop(optuna.load_study(study_name="stub", storage=storage), "SIGINT")

    report = sweep("counting", 2, seconds=0.2, listener=Recorder(at_report=stop))

    assert (report.stop, report.signal_number) == (Stop.STOPPED, None)
    assert sweep.states == ["WAITING"]
    assert sweep.trials[0].user_attrs[OWNER] is None
    assert (sweep.folder / "interrupted-0-0").exists()
    # As if it had a run, which this machine could not end: the next one must look for it.
    study = optuna.load_study(study_name="stub", storage=f"sqlite:///{sweep.folder}/optuna.db")
    study._storage.set_trial_user_attr(sweep.trials[0]._trial_id, RUN_ID, "1" * 32)
    assert sweep("counting", 2).stop is Stop.SPENT
    assert [(trial.state.name, trial.value) for trial in sweep.trials] == [
        ("COMPLETE", 1.0),
        ("COMPLETE", 0.0),
    ]


@pytest.mark.slow
def test_killed_worker_takes_its_child_along(sweep: Sweeps) -> None:
    """A worker that is killed leaves no training process behind, nor one that this has forked; its trial is run again."""
    running, pids = _run_until_marked(sweep.stub, sweep.folder, "marking_twice", 2)
    running.kill()
    running.communicate()

    assert _all_end(pids)
    assert sweep.states == ["RUNNING"]
    sweep("quick", 1)
    assert sweep.states == ["COMPLETE"]
    assert sweep.trials[0].user_attrs["lost"] == 1


@pytest.mark.slow
def test_works_outside_the_main_thread(sweep: Sweeps) -> None:
    """A launcher may run workers in threads; there, signals are the launcher's business."""
    before = signal.getsignal(signal.SIGTERM)
    reports: list[WorkerReport] = []
    thread = threading.Thread(target=lambda: reports.append(sweep("quick", 2)))
    thread.start()
    thread.join()

    assert reports[0].counts["COMPLETE"] == 2
    assert sweep.states == ["COMPLETE", "COMPLETE"]
    assert signal.getsignal(signal.SIGTERM) is before
