"""Real servers for tests: MLflow, PostgreSQL and MariaDB, a free port, and waiting until somebody answers."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowersweep.errors import TrackingError
from flowersweep.tracking.store.store import Store, prepare_store
from warm import warm_programs

START_SECONDS = 120


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 at which nobody listens, and which nobody is given by chance within this block.

    Servers can be started at it all the same: they set SO_REUSEADDR too, and this socket does not listen.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


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
    if port is None:
        with reserved_port() as found, mlflow_server(folder, found) as store:
            yield store
        return
    options = (
        "--backend-store-uri",
        prepare_store(folder).uri,
        "--artifacts-destination",
        str(folder / "served"),
    )
    address = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    small = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with warm_programs():
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options, *address],
            env=small,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    with server:
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


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a fresh PostgreSQL server that listens on a socket in a folder of its own, and at a port of 127.0.0.1."""
    with postgresql_with_outages() as (url, _):
        yield url


@contextmanager
def postgresql_with_outages() -> Iterator[tuple[str, Callable[[], AbstractContextManager[None]]]]:
    """Such a URL, and a context manager during which the server is stopped."""
    binaries = _programs("initdb", *Path("/usr/lib/postgresql").glob("*/bin"))
    with reserved_port() as port, _as("postgres") as (user, folder, as_user):
        data = folder / "data"
        initialize = [str(binaries / "initdb"), "-D", str(data), "-U", user, "--auth=trust", "--no-sync"]
        subprocess.run(initialize, check=True, capture_output=True, cwd=folder, **as_user)
        settings = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        settings += ["-c", f"unix_socket_directories={folder}"]
        ready = [binaries / "pg_isready", "-q", "-h", folder, "-p", port]
        # SIGINT is a fast shutdown: SIGTERM would wait for every open connection.
        command = [binaries / "postgres", "-D", data, *settings]
        with ExitStack() as server:
            server.enter_context(_running(command, ready, folder, as_user, signal.SIGINT))

            @contextmanager
            def away() -> Iterator[None]:
                server.close()
                yield
                server.enter_context(_running(command, ready, folder, as_user, signal.SIGINT))

            yield f"postgresql+psycopg://{user}@/postgres?host={folder}&port={port}", away


@contextmanager
def mariadb() -> Iterator[str]:
    """The URL of a fresh database in a fresh MariaDB server, which listens on a socket in a folder of its own only."""
    binaries = _programs("mariadbd", Path("/usr/sbin"))
    with _as("mysql") as (_, folder, as_user):
        data, socket_file = folder / "data", folder / "socket"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        install += ["--auth-root-authentication-method=normal"]
        subprocess.run(install, check=True, capture_output=True, cwd=folder, **as_user)
        settings = [f"--datadir={data}", f"--socket={socket_file}", "--skip-networking"]
        client = ["mariadb", "--no-defaults", f"--socket={socket_file}", "--user=root", "--execute"]
        server = [binaries / "mariadbd", "--no-defaults", *settings]
        with _running(server, [*client, "SELECT 1"], folder, as_user, signal.SIGTERM):
            subprocess.run([*client, "CREATE DATABASE studies"], check=True)
            yield f"mysql+pymysql://root@/studies?unix_socket={socket_file}"


def _programs(name: str, *folders: Path) -> Path:
    """The folder of a server's programs; the test is skipped where there is none, unless it has to run."""
    found = shutil.which(name)
    if found:
        return Path(found).resolve().parent
    for folder in sorted(folders, reverse=True):
        if (folder / name).exists():
            return folder
    if os.environ.get("FLOWERSWEEP_REQUIRE_DATABASES"):
        pytest.fail(f"FLOWERSWEEP_REQUIRE_DATABASES is set, but {name} is not installed")
    pytest.skip(f"{name} is not installed")


@contextmanager
def _as(name: str) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Who runs a server, its folder, and how `subprocess` is told: servers refuse to run as root."""
    root = os.getuid() == 0
    user = name if root else pwd.getpwuid(os.getuid()).pw_name
    # Not in pytest's folder, which the server's user cannot enter; a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix=f"flowersweep-{name}-"))
    try:
        if root:
            shutil.chown(folder, user)
        yield user, folder, {"user": user} if root else {}
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(
    command: Sequence[object], ready: Sequence[object], folder: Path, as_user: dict[str, Any], stop: int
) -> Iterator[None]:
    """A server, from when it is ready to when it has ended."""
    until = time.monotonic() + START_SECONDS
    with subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_user,
    ) as server:
        try:
            while subprocess.run([str(word) for word in ready], check=False, capture_output=True).returncode:
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            yield
        finally:
            server.send_signal(stop)
            server.wait(60)
