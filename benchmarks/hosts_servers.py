"""PostgreSQL and MLflow on one of the machines of `hosts.py`."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machines import Machine

DISK = "/tmp"  # noqa: S108 (each machine has its own)
_AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
_WAIT_SECONDS = 300.0

Process = subprocess.Popen[bytes]


class Servers:
    """The servers of a machine; what is stored on them is on its disk.

    Args:
        machine: The machine.
        start: Starts a command on it.
        password: Of the database.

    Attributes:
        kinds: Their names.
        storage: The address of a database for studies.
        uri: That of MLflow.
    """

    kinds = ("PostgreSQL", "MLflow")

    def __init__(self, machine: Machine, start: Callable[..., Process], password: str) -> None:
        self._machine, self._start, self._password = machine, start, password
        self._address = f"postgresql://sweeper:{password}@{machine.address}"
        self.storage = f"{self._address}/studies".replace("postgresql", "postgresql+psycopg")
        self.uri = f"http://{machine.address}:5000"
        self._running: dict[str, Process] = {}

    def begin(self) -> None:
        """Start both, and wait for them."""
        disk = self._machine.folder / "tmp"
        (disk / "password").write_text(self._password, encoding="ascii")
        shutil.chown(disk / "password", "postgres")
        initial = ("-U", "sweeper", "--auth=scram-sha-256", f"--pwfile={DISK}/password", "--no-sync")
        self._start(*_AS_POSTGRES, _programs() / "initdb", "-D", f"{DISK}/database", *initial).wait()
        with (disk / "database" / "pg_hba.conf").open("a", encoding="ascii") as rules:
            rules.write("host all all 10.77.0.0/24 scram-sha-256\n")
        for kind in self.kinds:
            self._running[kind] = self._started(kind)
        self._until("psql", f"{self._address}/postgres", "-c", "CREATE DATABASE studies")
        ask = f"import urllib.request; urllib.request.urlopen('{self.uri}/health', timeout=5)"
        self._until(sys.executable, "-c", ask)

    def stop_for(self, kind: str, seconds: float) -> None:
        """Stop one of them, and start it again."""
        self._machine.end(self._running[kind], signal.SIGINT if kind == "PostgreSQL" else signal.SIGKILL)
        time.sleep(seconds)
        self._running[kind] = self._started(kind)

    def _started(self, kind: str) -> Process:
        if kind == "PostgreSQL":
            settings = (
                "-c",
                f"listen_addresses={self._machine.address}",
                "-c",
                f"unix_socket_directories={DISK}",
            )
            return self._start(*_AS_POSTGRES, _programs() / "postgres", "-D", f"{DISK}/database", *settings)
        store = ("--backend-store-uri", f"sqlite:///{DISK}/mlflow.db")
        files = ("--artifacts-destination", f"{DISK}/artifacts", "--workers", "1")
        address = ("--host", self._machine.address, "--port", "5000")
        return self._start(sys.executable, "-m", "mlflow", "server", *store, *files, *address)

    def _until(self, *command: str) -> None:
        until = time.monotonic() + _WAIT_SECONDS
        while self._start(*command).wait():
            if time.monotonic() > until:
                sys.exit(f"The servers do not answer; see {self._machine.folder.parent}")
            time.sleep(1)


def _programs() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        sys.exit("PostgreSQL's server is not installed.")
    return places[-1]
