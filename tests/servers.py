"""Real servers for tests: an MLflow server of its own, a free port, and waiting until somebody answers."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowersweep.errors import TrackingError
from flowersweep.tracking.store import Store, prepare_store

START_SECONDS = 120


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path | None = None) -> None:
    """Return as soon as a server answers; fail the test, with the server's log, if it does not."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 (an address of a test)
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"Nobody answers at {url}:\n{log.read_text() if log else ''}")


@contextmanager
def mlflow_server(folder: Path, port: int | None = None) -> Iterator[Store]:
    """The store of an MLflow server over a database in a folder, as small as it can be made."""
    port = port or free_port()
    options = (
        "--backend-store-uri",
        prepare_store(folder).uri,
        "--artifacts-destination",
        str(folder / "served"),
    )
    address = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    small = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *options, *address],
        env=small,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            yield _answering(folder, f"http://127.0.0.1:{port}")
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # with uvicorn, a process of its own


def _answering(folder: Path, uri: str) -> Store:
    """The store, as soon as the server answers."""
    for _ in range(START_SECONDS):
        try:
            return prepare_store(folder, uri)
        except TrackingError:
            time.sleep(1)
    pytest.fail(f"The MLflow server did not answer within {START_SECONDS} s.")
