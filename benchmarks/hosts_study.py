"""The machines of `hosts.py`, their servers, and the commands of a user on them."""

import argparse
import functools
import json
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.fresh import ROOT, environment
from benchmarks.hosts_servers import DISK, Servers
from benchmarks.machines import Machine
from flowersweep.data.demo import draw_all
from flowersweep.sweep.study import claim

HEAD, WORKER = "head", "worker"
ADDRESS = "10.77.0.{}"
STUDY = "hosts"
# Where the machines see the folder that they share.
SHARED = Path("/srv")
SMALL = (
    "model=cnn",
    "model.filters=[8,16]",
    "data=folder",
    "trainer.image_size=96",
    "trainer.patience=null",
    "tracking.log_figures=false",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
    "hydra.sweeper.n_jobs=1",
    f"hydra.sweeper.study_name={STUDY}",
)
_PICTURES_PER_CLASS = 100
_PROGRAM = (sys.executable, "-m", "flowersweep")
_CHECKS = (sys.executable, ROOT / "benchmarks" / "hosts_checks.py")
_WAIT_SECONDS = 900.0
_FRESH_SECONDS = 8.0

Answer = TypeVar("Answer")
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
        self.password = secrets.token_hex(8)
        (folder / "shared").mkdir()
        draw_all(folder / "drawn", _PICTURES_PER_CLASS)
        mounts = {folder / "shared": SHARED, **_adapted(options, folder)}
        for number, (name, host) in enumerate({"a": HEAD, "b": WORKER, "c": WORKER}.items(), start=1):
            machines.append(Machine(name, host, ADDRESS.format(number), folder / name, mounts))
            shutil.copytree(folder / "drawn", folder / name / "tmp" / f"pictures-{name}")
        self.a, self.b, self.c = machines
        self.servers = Servers(self.a, functools.partial(self.start, self.a), self.password)
        self.storage = self.servers.storage

    def say(self, text: str) -> None:
        """Tell what happens, with the seconds since the start."""
        sys.stdout.write(f"{time.monotonic() - self._began:6.0f} s  {text}\n")
        sys.stdout.flush()

    def start(
        self, machine: Machine, *command: str | Path, log: Path | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a command on a machine."""
        own = {"HOME": f"{DISK}/home", "FLOWERSWEEP_CACHE": f"{DISK}/cache", "TMPDIR": DISK}
        small = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        return machine.start(
            command, log or self.folder / f"{machine.name}.log", environment({**own, **small})
        )

    def sweep(self, machine: Machine) -> "subprocess.Popen[bytes]":
        """The command of the sweep."""
        places = [
            f"hydra.sweeper.storage={self.storage}",
            f"tracking.uri={self.servers.uri}",
            f"tracking.dir={DISK}/results",
        ]
        places += [f"data.dir={DISK}/pictures-{machine.name}"]
        budget = [f"hydra.sweeper.n_trials={self.options.trials}", f"trainer.epochs={self.options.epochs}"]
        return self.start(machine, *_PROGRAM, "--multirun", *SMALL, *places, *budget, *self._checkpoints())

    def joining(self, machine: Machine, **others: str) -> list[str]:
        """The command that joins it.

        Args:
            machine: On which.
            others: Arguments that are not as they should be; `__` is a dot.
        """
        given = {
            "study": STUDY,
            "storage": self.storage,
            "tracking.uri": self.servers.uri,
            "tracking.dir": f"{DISK}/results",
            "data.dir": f"{DISK}/pictures-{machine.name}",
            **{name.replace("__", "."): value for name, value in others.items()},
        }
        return [
            *_PROGRAM,
            "join",
            *(f"{name}={value}" for name, value in given.items()),
            *self._checkpoints(),
        ]

    def status(self) -> list[str]:
        """The command that shows which machine runs what."""
        return [*_PROGRAM, "status", f"study={STUDY}", f"storage={self.storage}"]

    def watch(self) -> None:
        """Let machine a write down the state of the study, again and again."""
        self.start(self.a, *_CHECKS, "watch", f"{DISK}/state.json", self.storage, STUDY)
        self._until("the state of the study", (self.a.folder / "tmp" / "state.json").exists)

    def trials(self) -> list[dict[str, Any]]:
        """The trials, as machine a has just seen them."""
        state = self.a.folder / "tmp" / "state.json"
        self._until("the state of the study", lambda: time.time() - state.stat().st_mtime < _FRESH_SECONDS)
        return list(json.loads(state.read_text(encoding="utf-8"))["trials"])

    def results(self) -> dict[str, Any]:
        """The trials and the runs; and how good the best model is on machine c, which gets it from the server."""
        file = f"{DISK}/results.json"
        self._done(self.start(self.a, *_CHECKS, "results", file, self.storage, STUDY, self.servers.uri))
        found = dict(json.loads((self.a.folder / file[1:]).read_text(encoding="utf-8")))
        best = max(found["trials"], key=lambda trial: trial["value"] or 0.0)
        where = [
            f"data.dir={DISK}/pictures-{self.c.name}",
            f"tracking.uri={self.servers.uri}",
            "subset=validation",
            "format=json",
        ]
        told = self.say_of(self.c, *_PROGRAM, "evaluate", f"run={best['run']}", *where)
        accuracy = json.loads(told[told.index("{") :])["accuracy"] if "{" in told else None
        return {**found, "best": best["value"], "evaluated": accuracy}

    def say_of(self, machine: Machine, *command: str | Path) -> str:
        """What a command prints."""
        said = self.folder / "said.txt"
        said.unlink(missing_ok=True)
        self.start(machine, *command, log=said).wait(_WAIT_SECONDS)
        return said.read_text(encoding="utf-8", errors="replace").strip()

    def lock_of_a_lost_machine(self) -> float:
        """After how many seconds others get the lock of the studies if a machine is cut off while it holds it."""
        held = self.c.folder / "tmp" / "held"
        holder = self.start(self.c, *_CHECKS, "hold", f"{DISK}/held", self.storage)
        self._until("the lock", held.exists)
        self.c.unplug()
        began = time.monotonic()
        self._done(self.start(self.a, *_CHECKS, "hold", f"{DISK}/held", self.storage, "0"))
        self.c.plug_in()
        self.c.end(holder, signal.SIGKILL)
        return time.monotonic() - began

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

    def _until(self, what: str, found: Callable[[], Answer | None]) -> Answer:
        until = time.monotonic() + _WAIT_SECONDS + self.options.grace
        while not (answer := found()):
            if time.monotonic() > until:
                sys.exit(f"Waited in vain for {what}; see {self.folder}")
            time.sleep(0.5)
        return answer


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
