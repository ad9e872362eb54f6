"""Tests of a sweep on a real PostgreSQL server, started for them in a folder of its own."""

import importlib
import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowersweep.errors import SweepError
from flowersweep.sweep.lock import storage_lock
from flowersweep.sweep.storage import open_storage
from flowersweep.sweep.study import join_study

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


def _binaries() -> Path:
    """The folder of PostgreSQL's programs; the test is skipped where there is none."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if found is None and not folders:
        pytest.skip("PostgreSQL is not installed (no initdb on the PATH or under /usr/lib/postgresql)")
    return Path(found).resolve().parent if found else folders[-1]


def start_server(folder: Path, binaries: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server that listens on a socket in `folder` only; return it and its user's name."""
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:
        try:
            shutil.chown(folder, user)
        except LookupError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres to run it")
    as_user = {"user": user} if os.getuid() == 0 else {}
    data = folder / "data"
    initialize = [binaries / "initdb", "-D", data, "-U", user, "--auth=trust", "--no-sync"]
    subprocess.run(initialize, check=True, capture_output=True, cwd=folder, **as_user)  # type: ignore[call-overload]
    settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    server = subprocess.Popen(  # type: ignore[call-overload] # of the keywords only `user` is in the dict
        [binaries / "postgres", "-D", data, *settings], cwd=folder, stderr=subprocess.DEVNULL, **as_user
    )
    until = time.monotonic() + 20
    while subprocess.run([binaries / "pg_isready", "-q", "-h", folder], check=False).returncode:
        assert server.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    return server, user


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a fresh server."""
    binaries = _binaries()
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg, with which Python speaks to PostgreSQL, is not installed")
    # Not in pytest's folder, which the server's user cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="flowersweep-postgresql-"))
    server, user = start_server(folder, binaries)
    try:
        yield f"postgresql+psycopg://{user}@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown: SIGTERM would wait for every open connection
        server.wait(20)
        shutil.rmtree(folder)


def test_lock_excludes(url: str, tmp_path: Path) -> None:
    """Of threads with their own connections that add to a number in two steps none loses an addition."""
    total = [0]

    def add() -> None:
        storage = open_storage(url, tmp_path)
        for _ in range(5):
            with storage_lock(storage):
                seen = total[0]
                time.sleep(0.001)
                total[0] = seen + 1

    threads = [threading.Thread(target=add) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert total == [30]


def test_four_workers_share_forty_trials(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four workers on a server finish exactly 40 trials, each begun once."""
    monkeypatch.syspath_prepend(str(HERE))
    stub = importlib.import_module("stub_app")
    settings = stub.Settings(str(tmp_path), "leaving_marks", storage=url, workers=4)
    done = subprocess.run(stub.command(settings), check=True, stdout=subprocess.PIPE, timeout=240)
    trials = join_study(open_storage(url, tmp_path), "stub").trials
    marks = (tmp_path / "marks").read_text().splitlines()

    assert [trial.number for trial in trials] == list(range(40))
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert sorted(int(mark.split()[0]) for mark in marks) == list(range(40))
    assert sum(report["counts"]["COMPLETE"] for report in json.loads(done.stdout)) == 40


def test_unreachable_server(url: str, tmp_path: Path) -> None:
    """A server that does not answer is named in one sentence."""
    with pytest.raises(SweepError, match=r"cannot be opened: .*check that it runs"):
        open_storage(url.replace("flowersweep-postgresql", "nowhere"), tmp_path)
