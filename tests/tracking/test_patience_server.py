"""Tests of the patience of a run with a real MLflow server, which goes away or loses its answers."""

import http.client
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from flowersweep.errors import TrackingError
from flowersweep.tracking.closing import closing
from flowersweep.tracking.lookup import run_labels, run_model
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.outbox.delivery import waiting_runs
from flowersweep.tracking.patience import patience
from flowersweep.tracking.store.store import Store, prepare_store
from servers import mlflow_server, reserved_port

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a server waits in the cache folder."""
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(tmp_path / "cache"))


class LosesAnswers(BaseHTTPRequestHandler):
    """Hands requests on to a server, and hangs up in place of the first answer to each writing one."""

    protocol_version = "HTTP/1.1"
    port = 0
    seen: set[tuple[str, str, bytes]]

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.close_connection = True
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        request = (self.command, self.path, re.sub(rb'"end_time": "?\d+', b"", body))  # asked anew each time
        if (
            self.command in {"POST", "PUT", "PATCH"}
            and "search" not in self.path
            and request not in self.seen
        ):
            self.seen.add(request)
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 (the library's names)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def losing(tmp_path: Path) -> Iterator[Store]:
    """The store of a server behind a connection that loses the first answer to every writing request."""
    with mlflow_server(tmp_path) as served:
        handler = type(
            "Handler", (LosesAnswers,), {"port": int(served.uri.rpartition(":")[2]), "seen": set()}
        )
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            yield Store(f"http://127.0.0.1:{proxy.server_port}", None)
            proxy.shutdown()


def test_nothing_is_written_twice_when_answers_are_lost(losing: Store) -> None:
    """A server that does everything but whose every first answer is lost holds each thing once."""
    import keras

    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    pictures = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    with closing(MLflowTracker.start(losing, "lost", "parent")) as parent:
        parent.metrics({"loss": 0.25}, step=7)
    with closing(MLflowTracker.start(losing, "lost", "run", parent_run_id=parent.run_id)) as run:
        run.params({"seed": 1, "long": "x" * 7000})
        for step in range(3):
            run.metrics({"loss": 1.0 / (step + 1), "nan": float("nan")}, step=step)
        run.tags({"kind": "run"})
        run.dataset("flowers", digest="abc", source="/data", context="training", picture_shape=(8, 8, 3))
        run.text('["a", "b"]', "labels.json")
        run.model(network, example=pictures, class_names=["a", "b"])
    service = client(losing.uri)
    number = service.get_experiment_by_name("lost").experiment_id
    found = {one.info.run_name: one for one in service.search_runs([number])}
    assert len(service.search_runs([number])) == 2
    assert {one.info.status for one in found.values()} == {"FINISHED"}
    points = service.get_metric_history(run.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert len(service.get_metric_history(run.run_id, "nan")) == 3
    assert len(found["run"].inputs.dataset_inputs) == 1
    assert len(found["run"].outputs.model_outputs) == 1
    assert [str(one.status) for one in service.search_logged_models([number])] == ["READY"]
    assert run_labels(losing, run.run_id) == ["a", "b"]
    assert run_model(losing, run.run_id).count_params() == network.count_params()


@pytest.fixture
def port() -> Iterator[int]:
    """One that stays this test's own while no server is there."""
    with reserved_port() as found:
        yield found


def test_a_server_that_is_started_again_costs_nothing(tmp_path: Path, port: int) -> None:
    """Metrics and files wait on disk while the server is down, reading waits for it, and all is stored when it is back."""
    with mlflow_server(tmp_path, port) as store:
        run = MLflowTracker.start(store, "restarted", "run")
        run.metrics({"loss": 1.0}, step=0)
    back: list[int] = []

    def start_again() -> None:
        with mlflow_server(tmp_path, port):
            back.append(port)
            done.wait(120)

    with pytest.raises(TrackingError, match="is it running and is the address right"):
        prepare_store(tmp_path, store.uri)
    done = threading.Event()
    thread = threading.Thread(target=start_again)
    thread.start()
    try:
        with closing(run):
            run.metrics({"loss": 0.5}, step=1)
            run.text('["a"]', "labels.json")
            assert waiting_runs(store.outboxes) == [run.run_id]
        assert prepare_store(tmp_path, store.uri, known_to_work=True) == store
        assert run_labels(store, run.run_id) == ["a"]
        points = client(store.uri).get_metric_history(run.run_id, "loss")
        assert [(point.step, point.value) for point in points] == [(0, 1.0), (1, 0.5)]
        assert client(store.uri).get_run(run.run_id).info.status == "FINISHED"
    finally:
        done.set()
        thread.join()
    assert back == [port]


def test_a_server_that_stays_away_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reading fails with a sentence that says what to do; what is recorded waits, and one line says where."""
    with mlflow_server(tmp_path) as store:
        run = MLflowTracker.start(store, "gone", "run")
    with patience(1), pytest.raises(TrackingError, match=r"Connection refused.*start its server again\."):
        run_labels(store, run.run_id)
    with closing(run, wait=1):
        run.metrics({"loss": 1.0})
    assert f"Waiting in {store.outboxes[0]} for the tracking store" in caplog.messages[-1]
    assert caplog.messages[-1].endswith(f": python -m flowersweep doctor --fix tracking.uri={store.uri}")
