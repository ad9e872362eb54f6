"""A PostgreSQL server for `scale.py`: its start, its trials, and what it has done."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
from optuna.trial import TrialState
from sqlalchemy import Engine, create_engine, text

from flowersweep import process
from flowersweep.sweep.study.attributes import HEARTBEAT, OWNER, RUN_ID

_START_SECONDS = 60
_SETTINGS = (
    "listen_addresses=",
    "shared_preload_libraries=pg_stat_statements",
    # The disk of this machine is no database server's; what a commit takes there comes on top, for each of them.
    "fsync=off",
    "synchronous_commit=off",
    "shared_buffers=256MB",
)


class Server:
    """A running server.

    Args:
        url: SQLAlchemy's address of its database.
        postmaster: The process of which all others of the server are children.
    """

    def __init__(self, url: str, postmaster: psutil.Process) -> None:
        self.url = url
        self._postmaster = postmaster
        self.engine: Engine = create_engine(url, isolation_level="AUTOCOMMIT")

    def processors(self) -> float:
        """Seconds of user and system time that all its processes have used."""
        times = self._postmaster.cpu_times()
        used = times.user + times.system + times.children_user + times.children_system
        for child in self._postmaster.children():
            try:
                of_child = child.cpu_times()
            except psutil.Error:
                continue
            used += of_child.user + of_child.system
        return float(used)

    def ask(self, query: str) -> list[Any]:
        """The rows of a statement; none if it is no query."""
        with self.engine.connect() as connection:
            result = connection.execute(text(query))
            return list(result) if result.returns_rows else []

    def forget_statements(self) -> None:
        """Count statements from now on."""
        self.ask("SELECT pg_stat_statements_reset()")

    def statements(self) -> int:
        """How many were executed since, with BEGIN, COMMIT and those of the planner."""
        return int(self.ask("SELECT sum(calls) FROM pg_stat_statements")[0][0] or 0)

    def costly(self, count: int = 6) -> list[tuple[int, float, str]]:
        """The most expensive statements: calls, seconds in all, and the text."""
        rows = self.ask(
            f"SELECT calls, total_exec_time / 1000, query FROM pg_stat_statements ORDER BY 2 DESC LIMIT {count}"  # noqa: S608 (a number)
        )
        return [(int(row[0]), float(row[1]), " ".join(str(row[2]).split())[:110]) for row in rows]

    def connections(self) -> int:
        """Those of clients, except this one."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        return int(self.ask(query)[0][0]) - 1


@contextmanager
def server(max_connections: int) -> Iterator[Server]:
    """A fresh server that listens on a socket in a folder of its own only."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    root = os.getuid() == 0
    user = "postgres" if root else pwd.getpwuid(os.getuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="scale-postgres-"))
    as_user: dict[str, Any] = {"user": user} if root else {}
    try:
        if root:
            shutil.chown(folder, user)
        initialize = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", user, "--auth=trust"]
        subprocess.run(initialize, check=True, capture_output=True, cwd=folder, **as_user)
        settings = (
            *_SETTINGS,
            f"unix_socket_directories={folder}",
            f"max_connections={max_connections}",
        )
        command = [str(programs / "postgres"), "-D", str(folder / "data")]
        command += [word for setting in settings for word in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **as_user)
        try:
            _wait([str(programs / "pg_isready"), "-q", "-h", str(folder)])
            found = Server(
                f"postgresql+psycopg://{user}@/postgres?host={folder}", psutil.Process(running.pid)
            )
            found.ask("CREATE EXTENSION pg_stat_statements")
            yield found
            found.engine.dispose()
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)
    finally:
        shutil.rmtree(folder)


def _wait(ready: list[str]) -> None:
    until = time.monotonic() + _START_SECONDS
    while subprocess.run(ready, check=False, capture_output=True).returncode:
        if time.monotonic() > until:
            raise TimeoutError("PostgreSQL did not start.")
        time.sleep(0.1)


@dataclass(frozen=True)
class Filling:
    """Trials that are in a study before anybody measures.

    Attributes:
        finished: How many are complete.
        running: How many are run by workers on another machine that are alive.
        epochs: Values that each of them has reported.
    """

    finished: int
    running: int
    epochs: int


def fill(engine: Engine, study_id: int, dimensions: dict[str, Any], filling: Filling) -> None:
    """Add trials to an empty study, with the rows that workers would have written."""
    random = np.random.default_rng(0)
    count = filling.finished + filling.running
    if not count:
        return
    first, now = 1_000_000 * study_id, datetime.now(UTC).replace(tzinfo=None)
    complete, at_work = TrialState.COMPLETE.name, TrialState.RUNNING.name
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in _INSERTS}
    for number in range(count):
        key, is_done = first + number, number < filling.finished
        began = now - timedelta(seconds=600 + count - number)
        tables["trials"].append(
            {
                "id": key,
                "number": number,
                "study": study_id,
                "state": complete if is_done else at_work,
                "began": began,
                "ended": now if is_done else None,
            }
        )
        for name, distribution in dimensions.items():
            value = random.uniform(distribution.low, distribution.high)
            packed = optuna.distributions.distribution_to_json(distribution)
            tables["trial_params"].append({"id": key, "name": name, "value": value, "packed": packed})
        for name, attr in _attrs().items():
            tables["trial_user_attributes"].append({"id": key, "name": name, "value": json.dumps(attr)})
        for epoch in range(filling.epochs):
            tables["trial_intermediate_values"].append({"id": key, "step": epoch, "value": random.random()})
        if is_done:
            tables["trial_values"].append({"id": key, "value": random.random()})
    with engine.connect() as connection:
        for name, rows in tables.items():
            if rows:
                connection.execute(text(_INSERTS[name]), rows)
        # As after years of autovacuum: the planner knows the tables.
        connection.execute(text("ANALYZE"))


def _attrs() -> dict[str, Any]:
    owner = {
        process.HOST_TAG: "elsewhere",
        process.MACHINE_TAG: "0" * 16,
        process.PID_TAG: "1",
        process.START_TAG: f"{uuid.uuid4()} 1 1",
        "claim": uuid.uuid4().hex,
        "sweep": uuid.uuid4().hex,
        "since": time.time(),
        "untold": "/somewhere/multirun/2026-01-01/12-00-00/untold",
    }
    return {OWNER: owner, HEARTBEAT: time.time() + 3600, RUN_ID: uuid.uuid4().hex}


_INSERTS = {
    "trials": "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete) "
    "VALUES (:id, :number, :study, CAST(:state AS trialstate), :began, :ended)",
    "trial_params": "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
    "VALUES (:id, :name, :value, :packed)",
    "trial_user_attributes": "INSERT INTO trial_user_attributes (trial_id, key, value_json) "
    "VALUES (:id, :name, :value)",
    "trial_intermediate_values": "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, "
    "intermediate_value_type) VALUES (:id, :step, :value, 'FINITE')",
    "trial_values": "INSERT INTO trial_values (trial_id, objective, value, value_type) "
    "VALUES (:id, 0, :value, 'FINITE')",
}
