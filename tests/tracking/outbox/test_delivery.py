"""Tests of flowersweep.tracking.outbox.delivery: whatever fails, the store has at the end what an undisturbed run has."""

import errno
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing as closed
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
import requests
from filelock import FileLock, Timeout
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowersweep.errors import TrackingError
from flowersweep.interrupt import Interrupted, interruptible
from flowersweep.tracking import mlflow_api
from flowersweep.tracking.closing import closing
from flowersweep.tracking.mlflow_api import bare_client, client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.outbox import delivery, outbox
from flowersweep.tracking.outbox.delivery import (
    END_SECONDS,
    deliver_all,
    fix_command,
    places,
    settle,
    waiting_runs,
)
from flowersweep.tracking.outbox.outbox import JOURNAL, Outbox
from flowersweep.tracking.outbox.record import _DELIVERIES, Record, batch
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SQLite hardly waits for a lock, and attempts follow each other quickly."""
    monkeypatch.setattr(mlflow_api, "BUSY_MILLISECONDS", 10)
    monkeypatch.setattr(delivery, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(delivery, "_MAX_SHARE", 1e9)
    yield
    delivery._absences.clear()


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Another program locks the store's file for the block."""
    path = Path(store.uri.removeprefix("sqlite:///"))
    with closed(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def content(store: Store, run_id: str) -> dict[str, Any]:
    """All that the store has of a run, without times."""
    service = client(store.uri)
    run = service.get_run(run_id)
    folder = Path(unquote(urlparse(run.info.artifact_uri).path))
    own = ("mlflow.", "flowersweep.")
    return {
        "status": run.info.status,
        "params": run.data.params,
        "tags": {key: text for key, text in run.data.tags.items() if not key.startswith(own)},
        "metrics": {
            key: [(point.step, point.value) for point in service.get_metric_history(run_id, key)]
            for key in run.data.metrics
        },
        "latest": run.data.metrics,
        "data": sorted(used.dataset.name for used in run.inputs.dataset_inputs),
        "files": {
            path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
            for path in folder.rglob("*")
            if path.is_file()
        },
    }


def record_all(run: MLflowTracker) -> None:
    """One record of each kind that needs no model."""
    run.params({"seed": 1, "long": "x" * 7000})
    for step in range(3):
        run.metrics({"loss": 1.0 / (step + 1), "other": 0.1}, step=step)
    run.tags({"kind": "run"})
    run.text("Grüße", "notes/a.txt")
    run.dataset("set", digest="0", source="/pictures", context="training")


def test_a_run_goes_on_while_its_store_is_locked(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is lost or doubled, times are those of the records, and one line tells of each end of the lock."""
    undisturbed = MLflowTracker.start(store, "flowers", "undisturbed")
    record_all(undisturbed)
    undisturbed.end(RunStatus.FINISHED)
    run = MLflowTracker.start(store, "flowers", "run")
    run.metrics({"loss": 2.0}, step=9)
    with locked(store):
        record_all(run)
        assert waiting_runs(store.outboxes) == [run.run_id]
    delivery._absences[store.uri].next_attempt = 0.0
    with closing(run):
        run.metrics({"loss": 0.1}, step=3)
    expected, found = content(store, undisturbed.run_id), content(store, run.run_id)
    (alone, waited) = (sorted(one["metrics"].pop("loss")) for one in (expected, found))
    assert waited == sorted([*alone, (9, 2.0), (3, 0.1)])
    assert found | {"latest": None} == expected | {"latest": None}
    points = client(store.uri).get_metric_history(run.run_id, "loss")
    times = [point.timestamp for point in sorted(points, key=lambda one: (one.step == 9, one.step))]
    assert times[:4] == sorted(times[:4])
    assert times[4] <= times[0]
    began, ended = (text for text in caplog.messages if text.startswith("The tracking store"))
    assert f"(database is locked); what is recorded meanwhile waits in {store.outboxes[0]}." in began
    assert "; stored what waited: 9 records." in ended
    assert not waiting_runs(store.outboxes)
    assert not list(store.outboxes[0].iterdir())


class Unreliable:
    """A client whose calls fail as planned: before the store has got them, or after it, when the answer is lost."""

    def __init__(self, service: Any, plan: list[str]) -> None:
        self._service = service
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._service, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            fault = self._plan.pop(0) if self._plan else "none"
            if fault == "before":
                raise requests.ConnectionError("refused")
            answer = method(*args, **kwargs)
            if fault == "after":
                raise requests.ConnectionError("cut off")
            return answer

        return call


STEPS = st.sampled_from(["params", "metrics", "tags", "text", "data", "restart", "torn", "idle"])
FAULTS = st.sampled_from(["none", "none", "before", "after"])


def _do(run: MLflowTracker, number: int, step: str) -> None:
    match step:
        case "params":
            run.params({f"key{number}": number})
        case "metrics":
            run.metrics({"loss": 1.0 / (number + 1), "nought": 0.0}, step=number)
        case "tags":
            run.tags({"same": number})
        case "text":
            run.text(f"text {number}", "notes/same.txt")
        case "data":
            run.dataset(f"set {number}", digest=str(number), source="/pictures", context="training")


@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(steps=["metrics", "params", "data", "text", "tags"], faults=["after"] * 5)
@example(steps=["metrics", "torn", "metrics", "restart", "text"], faults=["before"] * 3)
@given(steps=st.lists(STEPS, min_size=1, max_size=8), faults=st.lists(FAULTS, max_size=12))
def test_failures_change_nothing_of_what_is_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch, steps: Sequence[str], faults: list[str]
) -> None:
    """Any records, with any requests or answers lost, and processes killed meanwhile, end as without failures."""
    undisturbed, run = (MLflowTracker.start(store, "flowers", name) for name in ("undisturbed", "run"))
    plan = list(faults)
    with monkeypatch.context() as patched:
        patched.setattr(delivery, "bare_client", lambda uri: Unreliable(bare_client(uri), plan))
        disturbed = MLflowTracker(store, run.run_id)
        for number, step in enumerate(steps):
            _do(undisturbed, number, step)
            _do(disturbed, number, step)
            if step == "restart":
                delivery._absences.clear()
                disturbed = MLflowTracker(store, run.run_id)
            elif step == "torn" and (journal := store.outboxes[0] / run.run_id / JOURNAL).exists():
                with journal.open("ab") as file:
                    file.write(b'{"kind": "batch", "va')
        undisturbed.end(RunStatus.FINISHED)
        disturbed.end(RunStatus.FINISHED)
    left = deliver_all(store.uri, store.outboxes)[1]
    assert not left
    assert content(store, run.run_id) == content(store, undisturbed.run_id)
    assert not waiting_runs(store.outboxes)


def test_the_next_command_delivers_what_a_dead_process_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that ends while the store is locked says where its records wait; opening the store again delivers them."""
    store = prepare_store(tmp_path)
    run = MLflowTracker.start(store, "flowers", "run")
    with locked(store), closing(run, wait=0.05):
        record_all(run)
    told = caplog.messages[-1]
    assert told.startswith(
        f"Waiting in {tmp_path}/outbox for the tracking store (database is locked): 9 records of 1 run. "
    )
    assert told.endswith(f"or: python -m flowersweep doctor --fix tracking.dir={tmp_path}")
    assert content(store, run.run_id)["status"] == "RUNNING"
    caplog.clear()
    assert prepare_store(tmp_path) == store
    assert caplog.messages == ["Stored what waited for the tracking store: 9 records."]
    found = content(store, run.run_id)
    assert found["status"] == "FINISHED"
    assert len(found["metrics"]["loss"]) == 3


@pytest.mark.parametrize("number", [1, 9])
def test_records_after_an_interrupted_removal_are_delivered(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """How far an earlier journal was delivered, which an interruption may leave behind, says nothing about the next one."""
    run = MLflowTracker.start(store, "flowers", "run")
    with locked(store):
        for step in range(4):
            run.metrics({"loss": 1.0}, step=step)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            settle(store.uri, store.outboxes, 0)
    assert not waiting_runs(store.outboxes)
    with locked(store):
        for step in range(4, 4 + number):
            MLflowTracker(store, run.run_id).metrics({"loss": 1.0}, step=step)
    settle(store.uri, store.outboxes, 0)
    points = client(store.uri).get_metric_history(run.run_id, "loss")
    assert sorted(point.step for point in points) == list(range(4 + number))
    assert not list(store.outboxes[0].glob("*"))


def _interrupted(*_arguments: object, **_named: object) -> None:
    raise KeyboardInterrupt


def test_a_journal_that_others_replace_meanwhile_is_delivered_from_its_start(store: Store) -> None:
    """A process between two records does not skip those of a journal that was begun since."""
    run = MLflowTracker.start(store, "flowers", "run")
    with locked(store):
        for step in range(4):
            run.metrics({"loss": 1.0}, step=step)
    delivering = Outbox(store.outboxes, run.run_id).deliver(bare_client(store.uri))
    for _ in range(3):
        next(delivering)
    settle(store.uri, store.outboxes, 0)
    with locked(store):
        MLflowTracker(store, run.run_id).metrics({"loss": 1.0}, step=4)
    assert len(list(delivering)) == 1
    points = client(store.uri).get_metric_history(run.run_id, "loss")
    assert sorted(point.step for point in points) == [0, 1, 2, 3, 4]


def test_a_position_that_cannot_be_noted_is_nobody_elses(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, each record is delivered once, and until the last one no other process gets the outbox."""
    run = MLflowTracker.start(store, "flowers", "run")
    with locked(store):
        for step in range(4):
            run.metrics({"loss": 1.0}, step=step)
    monkeypatch.setattr(outbox, "_noted", lambda *_: False)
    box = Outbox(store.outboxes, run.run_id)
    for number, _ in enumerate(box.deliver(bare_client(store.uri)), start=1):
        assert len(client(store.uri).get_metric_history(run.run_id, "loss")) == number
        with pytest.raises(Timeout), FileLock(store.outboxes[0] / f".{run.run_id}.lock", blocking=False):
            pass
    assert number == 4
    assert not list(store.outboxes[0].iterdir())


def test_a_position_beyond_the_end_of_a_journal_is_that_of_another_one(store: Store) -> None:
    """A power cut may lose a journal and leave how far the one before it was delivered."""
    run = MLflowTracker.start(store, "flowers", "run")
    with locked(store):
        run.metrics({"loss": 1.0}, step=1)
    (store.outboxes[0] / run.run_id / "delivered").write_text("100000", encoding="ascii")
    assert len(Outbox(store.outboxes, run.run_id)) == 1
    settle(store.uri, store.outboxes, 0)
    assert content(store, run.run_id)["metrics"] == {"loss": [(1, 1.0)]}


class TestSignals:
    """A signal while a record is on its way: it is in the store or on disk before the signal counts."""

    def _away(self, *_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise requests.ConnectionError("away")

    def test_a_record_that_the_store_does_not_take_is_kept(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The request fails and the signal arrives during it: the record waits on disk."""
        run = MLflowTracker.start(store, "flowers", "run")
        with monkeypatch.context() as patched:
            patched.setitem(_DELIVERIES, "batch", self._away)
            with pytest.raises(Interrupted), interruptible():
                run.metrics({"best/val_accuracy": 0.9})
        assert len(Outbox(store.outboxes, run.run_id)) == 1
        run.settle(0)
        assert content(store, run.run_id)["latest"] == {"best/val_accuracy": 0.9}

    @pytest.mark.parametrize("away", [True, False])
    def test_a_run_that_has_finished_stays_so(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, *, away: bool
    ) -> None:
        """A signal while its end is recorded does not make it KILLED, whether or not the store can be used."""
        run = MLflowTracker.start(store, "flowers", "run")
        deliver = _DELIVERIES["end"]

        def end(*arguments: Any) -> None:
            monkeypatch.setitem(_DELIVERIES, "end", deliver)
            if not away:
                deliver(*arguments)
            self._away()

        monkeypatch.setitem(_DELIVERIES, "end", end)
        with pytest.raises(Interrupted), interruptible(), closing(run):
            pass
        run.settle(0)
        assert (run.status, content(store, run.run_id)["status"]) == (RunStatus.FINISHED, "FINISHED")

    def test_the_second_place_is_tried(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The disk of the first one is full, which takes as long as the signal needs to arrive."""
        append = outbox._append

        def full_at_first(folder: Path, record: Record) -> None:
            if folder.parent.name == "first":
                signal.raise_signal(signal.SIGTERM)
                raise OSError(errno.ENOSPC, "No space left on device")
            append(folder, record)

        monkeypatch.setattr(outbox, "_append", full_at_first)
        box = Outbox((tmp_path / "first", tmp_path / "second"), "run")
        with pytest.raises(Interrupted), interruptible():
            box.add(batch(tags={"a": "b"}))
        assert (len(box), box.place) == (1, tmp_path / "second")


def test_records_that_another_process_delivers_at_once_are_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Between the attempt that failed and the line about it, the store came back and another command delivered all."""
    run = MLflowTracker.start(store, "flowers", "run")
    add = Outbox.add

    def add_and_lose(self: Outbox, record: Record) -> None:
        add(self, record)
        shutil.rmtree(store.outboxes[0] / self.run_id)

    monkeypatch.setattr(Outbox, "add", add_and_lose)
    with locked(store):
        run.metrics({"loss": 1.0})
    assert caplog.messages[-1].endswith(f"what is recorded meanwhile waits in {store.outboxes[0]}.")


def test_the_end_of_a_run_waits_for_the_store(store: Store) -> None:
    """A lock that ends within the time costs nothing, and no message is left about records that wait."""
    run = MLflowTracker.start(store, "flowers", "run")
    with locked(store):
        run.metrics({"loss": 1.0}, step=1)
        run.end(RunStatus.FINISHED)
        timer = threading.Timer(0.1, settle, (store.uri, store.outboxes, 20))
        timer.start()
    timer.join()
    assert content(store, run.run_id)["status"] == "FINISHED"


def test_an_interruption_ends_that_wait_and_nothing_else(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """The signal is not raised, because the run has ended; its records are stored by the next command."""
    run = MLflowTracker.start(store, "flowers", "run")
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    began = time.monotonic()
    with locked(store), interruptible():
        timer.start()
        with closing(run):
            run.metrics({"loss": 1.0}, step=1)
    timer.join()
    assert time.monotonic() - began < END_SECONDS / 2
    assert ": 2 records of 1 run. " in caplog.messages[-1]
    settle(store.uri, store.outboxes, 0)
    assert content(store, run.run_id)["status"] == "FINISHED"


def test_a_run_whose_files_cannot_be_stored_keeps_them(tmp_path: Path) -> None:
    """While a file is in the place of the folder of artifacts, files wait, and metrics after them too, in their order."""
    store = prepare_store(tmp_path)
    (tmp_path / "artifacts").write_text("a file where a folder is needed", encoding="utf-8")
    run = MLflowTracker.start(store, "flowers", "run")
    run.text("a", "a.txt")
    run.metrics({"loss": 1.0}, step=1)
    run.tags({"kind": "run"})
    assert content(store, run.run_id)["metrics"] == {}
    (tmp_path / "artifacts").unlink()
    run.end(RunStatus.FINISHED)
    settle(store.uri, store.outboxes, 0)
    found = content(store, run.run_id)
    assert (found["files"], found["metrics"], found["tags"]) == (
        {"a.txt": "a"},
        {"loss": [(1, 1.0)]},
        {"kind": "run"},
    )
    assert found["status"] == "FINISHED"


def test_a_refused_record_is_an_error_and_keeps_nobody_waiting(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that is deleted while its records wait keeps them, and those of others are delivered."""
    gone, other = (MLflowTracker.start(store, "flowers", name) for name in ("gone", "other"))
    with locked(store):
        gone.metrics({"loss": 1.0}, step=1)
        other.metrics({"loss": 1.0}, step=1)
    client(store.uri).delete_run(gone.run_id)
    settle(store.uri, store.outboxes, 20)
    assert content(store, other.run_id)["metrics"] == {"loss": [(1, 1.0)]}
    assert waiting_runs(store.outboxes) == [gone.run_id]
    assert ": 1 record of 1 run." in caplog.messages[-1]
    assert "must be in the 'active' state" in caplog.messages[-1]
    with pytest.raises(TrackingError, match="Cannot log the metrics of run"):
        gone.metrics({"loss": 1.0}, step=2)
    client(store.uri).restore_run(gone.run_id)
    settle(store.uri, store.outboxes, 0)
    assert content(store, gone.run_id)["metrics"] == {"loss": [(1, 1.0), (2, 1.0)]}


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "bctch", "values": {}, "content": null}',
        '{"kind": "batch", "values": {}, "content": null}',
        "[]",
        "{",
        "\0",
    ],
)
def test_a_damaged_record_is_named_and_keeps_nobody_waiting(
    store: Store, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    """Whatever a disk has made of a record, it is one line of a warning, and the records of others are delivered."""
    damaged, other = (MLflowTracker.start(store, "flowers", name) for name in ("damaged", "other"))
    with locked(store):
        damaged.metrics({"loss": 1.0}, step=1)
        other.metrics({"loss": 1.0}, step=1)
    (journal,) = store.outboxes[0].glob(f"{damaged.run_id}/{JOURNAL}")
    journal.write_text(f"{line}\n", encoding="utf-8")
    settle(store.uri, store.outboxes, 0)
    shutil.rmtree(journal.parent)

    assert content(store, other.run_id)["metrics"] == {"loss": [(1, 1.0)]}
    assert f"{journal} is damaged before byte {len(line) + 1}" in caplog.messages[-1]
    assert "\n" not in caplog.messages[-1]


def test_records_that_can_wait_nowhere_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If neither the store nor a folder takes a record, one sentence says why; the cache folder is the second place."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(cache))
    store = prepare_store(tmp_path / "results")
    run = MLflowTracker.start(store, "flowers", "run")
    (tmp_path / "results/outbox").write_text("a file where a folder is needed", encoding="utf-8")
    with locked(store):
        run.metrics({"loss": 1.0}, step=1)
        assert [path.parent.name for path in cache.rglob(JOURNAL)] == [run.run_id]
    settle(store.uri, store.outboxes, 0)
    assert content(store, run.run_id)["metrics"] == {"loss": [(1, 1.0)]}
    (cache / "outbox").rename(cache / "elsewhere")
    (cache / "outbox").write_text("a file where a folder is needed", encoding="utf-8")
    with locked(store), pytest.raises(TrackingError) as caught:
        run.metrics({"loss": 1.0}, step=2)
    assert (
        f"Cannot store what run {run.run_id} records: database is locked; and it cannot wait on disk"
        in str(caught.value)
    )


def test_resuming_a_run_delivers_what_waits_first(store: Store) -> None:
    """A resumed run has the records of before, and is RUNNING although its end was among them."""
    run = MLflowTracker.start(store, "flowers", "run")
    with locked(store):
        run.metrics({"loss": 1.0}, step=1)
        run.end(RunStatus.KILLED)
        with pytest.raises(TrackingError, match="Cannot resume run"):
            _resume_at_once(store, run.run_id)
    again = MLflowTracker.resume(store, run.run_id)
    again.metrics({"loss": 0.5}, step=2)
    found = content(store, run.run_id)
    assert (found["status"], found["metrics"]) == ("RUNNING", {"loss": [(1, 1.0), (2, 0.5)]})


def _resume_at_once(store: Store, run_id: str) -> None:
    from flowersweep.tracking.patience import patience

    with patience(0):
        MLflowTracker.resume(store, run_id)


def test_the_command_names_the_store(tmp_path: Path) -> None:
    """The folder of the results if they are there, otherwise the address."""
    here = f"sqlite:///{tmp_path}/mlflow.db"
    assert (
        fix_command(here, places(here, tmp_path))
        == f"python -m flowersweep doctor --fix tracking.dir={tmp_path}"
    )
    server = "http://127.0.0.1:5000"
    assert (
        fix_command(server, places(server, None))
        == f"python -m flowersweep doctor --fix tracking.uri={server}"
    )
