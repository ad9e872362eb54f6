"""One study on three machines: one is cut off in mid-sweep and comes back, another one is killed.

    sudo python benchmarks/hosts.py [--trials 14] [--own-disks] [--grace 600]

The machines are namespaces of this computer (`machines.py`), so it needs root. Machine a, named "head", has a PostgreSQL
and an MLflow server. Machines b and c are both named "worker" and have the same process ids. On b, the command of a sweep
is started, on c `flowersweep join`; each runs one trial at a time. Checkpoints are in a folder that b and c share, or, with
--own-disks, in the cache of each. Then:

1. c is cut off from the network while it trains, until another machine has taken its trial, and is connected again;
2. all processes of b are killed while it trains; c ends the study;
3. the command of the sweep is given once more, on a, and completes the study's run.

At the end, the study and the runs in MLflow are checked (`hosts_checks.py`). The exit code is 1 if anything was lost,
doubled or left open. --grace and --heartbeat are the seconds of silence after which a trial is taken, and
between signs of life; other values than those of flowersweep are put into a copy of the module that has them.
"""

import argparse
import json
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.fresh import ROOT, environment
from benchmarks.machines import Machine, network, refusal
from flowersweep.sweep.study import claim

HEAD, WORKER = "head", "worker"
ADDRESS = "10.77.0.{}"
URI = "http://10.77.0.1:5000"
STUDY = "hosts"
# Where the machines see the folder that they share.
SHARED = Path("/srv")
SMALL = (
    "model=cnn",
    "model.filters=[8,16]",
    "data=demo",
    "trainer.image_size=96",
    "trainer.patience=null",
    "tracking.log_figures=false",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
    "hydra.sweeper.n_jobs=1",
    f"hydra.sweeper.study_name={STUDY}",
)
_CHECKS = ROOT / "benchmarks" / "hosts_checks.py"
_WAIT_SECONDS = 600.0
_EPOCHS_BEFORE_A_FAULT = 4


class Show:
    """The machines, what runs on them, and what is known about the study.

    Args:
        options: Of the command line.
        folder: Of everything that is written.
        machines: From `network`.
    """

    def __init__(self, options: argparse.Namespace, folder: Path, machines: list[Machine]) -> None:
        self.options, self.folder = options, folder
        self.log = folder / "log.txt"
        self._machines = machines
        self._began = time.monotonic()
        self._password = secrets.token_hex(8)
        self.storage = f"postgresql+psycopg://sweeper:{self._password}@{ADDRESS.format(1)}/studies"
        (folder / "shared").mkdir()
        mounts = {folder / "shared": SHARED, **_adapted(options, folder)}
        for number, (name, host) in enumerate({"a": HEAD, "b": WORKER, "c": WORKER}.items(), start=1):
            machines.append(Machine(name, host, ADDRESS.format(number), folder / name, mounts))
        self.a, self.b, self.c = machines

    def say(self, text: str) -> None:
        """Tell what happens, with the seconds since the start."""
        sys.stdout.write(f"{time.monotonic() - self._began:6.0f} s  {text}\n")
        sys.stdout.flush()

    def start(self, machine: Machine, *command: str | Path) -> "subprocess.Popen[bytes]":
        """Start a command on a machine."""
        own = {"HOME": "/tmp/home", "FLOWERSWEEP_CACHE": "/tmp/cache", "TMPDIR": "/tmp"}  # noqa: S108 (each has its own)
        small = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        return machine.start(command, self.folder / f"{machine.name}.log", environment({**own, **small}))

    def serve(self) -> None:
        """Start PostgreSQL and MLflow on machine a, and wait for them."""
        as_user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        secret = self.a.folder / "tmp" / "password"
        secret.write_text(self._password, encoding="ascii")
        shutil.chown(secret, "postgres")
        binaries = _postgresql()
        initial = ("-U", "sweeper", "--auth=scram-sha-256", "--pwfile=/tmp/password", "--no-sync")
        self._done(self.start(self.a, *as_user, binaries / "initdb", "-D", "/tmp/database", *initial))
        with (self.a.folder / "tmp" / "database" / "pg_hba.conf").open("a", encoding="ascii") as rules:
            rules.write("host all all 10.77.0.0/24 scram-sha-256\n")
        settings = ("-c", f"listen_addresses={ADDRESS.format(1)}", "-c", "unix_socket_directories=/tmp")
        self.start(self.a, *as_user, binaries / "postgres", "-D", "/tmp/database", *settings)
        url = self.storage.replace("+psycopg", "").replace("/studies", "/postgres")
        create = ("psql", url, "-c", "CREATE DATABASE studies")
        self._until("PostgreSQL", lambda: self.start(self.a, *create).wait() == 0)
        store = (
            "--backend-store-uri",
            "sqlite:////tmp/mlflow.db",
            "--artifacts-destination",
            "/tmp/artifacts",
        )
        address = ("--host", ADDRESS.format(1), "--port", "5000", "--workers", "1")
        self.start(self.a, sys.executable, "-m", "mlflow", "server", *store, *address)
        ask = (
            sys.executable,
            "-c",
            f"import urllib.request; urllib.request.urlopen('{URI}/health', timeout=5)",
        )
        self._until("MLflow", lambda: self.start(self.a, *ask).wait() == 0)

    def sweep(self, machine: Machine) -> "subprocess.Popen[bytes]":
        """The command of the sweep."""
        places = [f"hydra.sweeper.storage={self.storage}", f"tracking.uri={URI}", "tracking.dir=/tmp/results"]
        budget = [f"hydra.sweeper.n_trials={self.options.trials}", f"trainer.epochs={self.options.epochs}"]
        return self.start(machine, *_PROGRAM, "--multirun", *SMALL, *places, *budget, *self._checkpoints())

    def join(self, machine: Machine) -> "subprocess.Popen[bytes]":
        """The command that joins it."""
        places = [f"storage={self.storage}", f"tracking.uri={URI}", "tracking.dir=/tmp/results"]
        return self.start(machine, *_PROGRAM, "join", f"study={STUDY}", *places, *self._checkpoints())

    def watch(self) -> None:
        """Let machine a write down the state of the study, again and again."""
        self.start(self.a, sys.executable, _CHECKS, "/tmp/state.json", self.storage, STUDY)
        self._until("the state of the study", lambda: (self.a.folder / "tmp" / "state.json").exists())

    def trials(self) -> list[dict[str, Any]]:
        """The trials, as machine a sees them."""
        return list(json.loads((self.a.folder / "tmp" / "state.json").read_text(encoding="utf-8"))["trials"])

    def results(self) -> dict[str, Any]:
        """The trials and the runs."""
        file = "/tmp/results.json"
        self._done(self.start(self.a, sys.executable, _CHECKS, file, self.storage, STUDY, URI))
        return dict(json.loads((self.a.folder / file[1:]).read_text(encoding="utf-8")))

    def trial_of(self, machine: Machine) -> dict[str, Any]:
        """A trial that this machine is training, as soon as it has some epochs."""

        def found() -> dict[str, Any] | None:
            for trial in self.trials():
                is_its = trial["boot"] == self.boot(machine) and trial["state"] == "RUNNING"
                if is_its and _EPOCHS_BEFORE_A_FAULT <= trial["epoch"] <= self.options.epochs - 2:
                    return dict(trial)
            return None

        return self._until(f"a trial on {machine.name}", found)

    def until_taken(self, trial: dict[str, Any]) -> dict[str, Any]:
        """A trial as soon as another process has it."""

        def found() -> dict[str, Any] | None:
            now = self.trials()[trial["number"]]
            return dict(now) if now["boot"] not in {None, trial["boot"]} else None

        return self._until(f"another worker for trial {trial['number']}", found)

    def boot(self, machine: Machine) -> str:
        """The identity of a machine's boot."""
        return (machine.folder / "boot_id").read_text(encoding="ascii").strip()

    def name_of(self, boot: str | None) -> str:
        """The machine of a boot."""
        return next((one.name for one in self._machines if self.boot(one) == boot), "?")

    def wait_for(self, process: "subprocess.Popen[bytes]", seconds: float) -> int:
        """The exit code of a command."""
        return process.wait(seconds)

    def _checkpoints(self) -> list[str]:
        return [] if self.options.own_disks else [f"paths.checkpoints={SHARED}"]

    def _done(self, process: "subprocess.Popen[bytes]") -> None:
        if process.wait(_WAIT_SECONDS):
            sys.exit(f"A command failed; see {self.folder}")

    def _until(self, what: str, found: Callable[[], Any]) -> Any:
        until = time.monotonic() + _WAIT_SECONDS + self.options.grace
        while not (answer := found()):
            if time.monotonic() > until:
                sys.exit(f"Waited in vain for {what}; see {self.folder}")
            time.sleep(0.5)
        return answer


_PROGRAM = (sys.executable, "-m", "flowersweep")


def _adapted(options: argparse.Namespace, folder: Path) -> dict[Path, Path]:
    """A copy of the module with the times of signs of life, with other ones, and its place; nothing for its own ones."""
    times = {"GRACE_SECONDS": options.grace, "HEARTBEAT_SECONDS": options.heartbeat}
    if all(getattr(claim, name) == value for name, value in times.items()):
        return {}
    module = Path(claim.__file__)
    text = module.read_text(encoding="utf-8")
    for name, value in times.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value!r}", text, flags=re.MULTILINE)
    copy = folder / module.name
    copy.write_text(text, encoding="utf-8")
    return {copy: module}


def _postgresql() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        sys.exit("PostgreSQL's server is not installed.")
    return places[-1]


def play(show: Show) -> int:
    """The sweep with its faults; returns how many problems there are."""
    say, grace = show.say, show.options.grace
    show.serve()
    show.watch()
    say(f"PostgreSQL and MLflow are up on a; a trial is taken after {grace:g} s of silence")
    sweep = show.sweep(show.b)
    show.trial_of(show.b)
    say("the sweep was started on b, and trains")
    join = show.join(show.c)
    cut = show.trial_of(show.c)
    show.c.unplug()
    began = time.monotonic()
    say(f"c is cut off while it trains trial {cut['number']}, after epoch {cut['epoch']}")
    taken = show.until_taken(cut)
    say(
        f"{show.name_of(taken['boot'])} has taken trial {cut['number']} after {time.monotonic() - began:.0f} s"
    )
    time.sleep(5)
    show.c.plug_in()
    say("c is connected again")
    again = show.trial_of(show.c)
    say(f"c trains trial {again['number']}")
    lost = show.trial_of(show.b)
    show.b.switch_off()
    began = time.monotonic()
    say(f"b is killed while it trains trial {lost['number']}, after epoch {lost['epoch']}")
    taken = show.until_taken(lost)
    say(
        f"{show.name_of(taken['boot'])} has taken trial {lost['number']} after {time.monotonic() - began:.0f} s"
    )
    say(
        f"join on c has ended with exit code {show.wait_for(join, _WAIT_SECONDS)}; the sweep on b with {sweep.wait()}"
    )
    say(
        f"the sweep's command on a has ended with exit code {show.wait_for(show.sweep(show.a), _WAIT_SECONDS)}"
    )
    from benchmarks.hosts_checks import report

    return report(show.results(), show.options.trials, show.name_of, {cut["number"], lost["number"]})


def main(arguments: Sequence[str] | None = None) -> int:
    """Play it, and return the exit code."""
    options = _options(arguments)
    if said := refusal():
        sys.stderr.write(f"{said}\n")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="hosts-", dir="/var/tmp"))  # noqa: S108 (a new folder; each machine has its own /tmp)
    folder.chmod(0o755)
    problems = 1
    try:
        with network() as machines:
            problems = play(Show(options, folder, machines))
    finally:
        if problems or options.keep:
            sys.stdout.write(f"what the machines printed and wrote: {folder}\n")
        else:
            shutil.rmtree(folder)
    return int(problems > 0)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=14, help="trials of the study")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of a trial")
    parser.add_argument(
        "--own-disks", action="store_true", help="each machine keeps its checkpoints for itself"
    )
    parser.add_argument("--grace", type=float, default=claim.GRACE_SECONDS, help="seconds of silence")
    parser.add_argument(
        "--heartbeat", type=float, default=claim.HEARTBEAT_SECONDS, help="seconds between signs of life"
    )
    parser.add_argument("--keep", action="store_true", help="keep what was written")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
