"""Faults thrown at sweeps at random moments, and what is lost, doubled or left open afterwards.

    python benchmarks/chaos.py [--faults 20] [--seed 0] [--jobs 2] [--data PATH/flower_photos] [--server] [--tmpfs]

Each round is a sweep in a new folder: `python -m flowersweep --multirun` with tiny trainings on synthetic flowers, or on
the pictures of --data. While it trains, faults are thrown at it: SIGKILL for a training process, a worker, the sweeper,
or all of them; SIGINT and SIGTERM; SIGSTOP for --pause seconds; a locked database of Optuna or MLflow for --pause
seconds; with --server, a stopped MLflow server; with --tmpfs, which needs root, a full disk. Whenever the command
ends before all trials are done, the same command is started again. Then the results are checked (`chaos_checks.py`).
The exit code is 1 if anything was lost, doubled or left open.
"""

import argparse
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.chaos_checks import Findings, check
from benchmarks.fresh import environment
from flowersweep.errors import EXIT_BAD_INPUT

KILLS = ("training", "worker", "sweeper", "everything", "SIGINT", "SIGTERM")
SMALL = (
    "model=cnn",
    "model.filters=[4]",
    "trainer.image_size=32",
    "trainer.patience=null",
    "tracking.log_figures=false",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
    # A trial may be hit several times; none is to fail for it.
    "hydra.sweeper.max_retries=100",
)
# A worker and its training process.
Pair = tuple[psutil.Process, psutil.Process]

_TRAINING = "trial_server import serve"
_MAX_STARTS = 60
_START_SECONDS = 300
_END_SECONDS = 60


class Round:
    """One sweep, and the faults that are thrown at it.

    Args:
        options: Of the command line.
        folder: Of the results.
        moment: Chooses the moments of the faults.
    """

    def __init__(self, options: argparse.Namespace, folder: Path, moment: random.Random) -> None:
        self.folder = folder
        self.thrown: Counter[str] = Counter()
        self._options = options
        self._moment = moment
        self._starts = 0
        self._processes: set[psutil.Process] = set()
        self._server: ExitStack = ExitStack()
        self._port = _free_port() if options.server else None
        self._log = (folder / "chaos.log").open("ab")

    def __enter__(self) -> Self:
        self._serve()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        self._log.close()

    def run(self, kinds: Sequence[str]) -> None:
        """Throw these faults one after the other while the sweep trains, then let it finish."""
        running: subprocess.Popen[bytes] | None = self._start()
        for kind in kinds:
            if running is None or (running := self._training(running)) is None:
                break
            time.sleep(self._moment.uniform(0.2, self._options.gap))
            self._throw(kind, running)
            self.thrown[kind] += 1
        while running is not None and running.wait() != 0:
            if running.returncode == EXIT_BAD_INPUT:
                sys.exit(f"The command was refused; see {self.folder}/chaos.log")
            running = self._start()
        self._wait_for_the_end()

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._starts == _MAX_STARTS:
            sys.exit(f"The sweep did not end after {_MAX_STARTS} starts; see {self.folder}/chaos.log")
        self._starts += 1
        given = self._options
        pictures = ["data=demo"] if given.data is None else ["data=folder", f"data.dir={given.data}"]
        uri = [] if self._port is None else [f"tracking.uri={self.uri}"]
        places = [*pictures, *uri, f"tracking.dir={self.folder}", f"trainer.epochs={given.epochs}"]
        budget = [f"hydra.sweeper.n_trials={given.trials}", f"hydra.sweeper.n_jobs={given.jobs}"]
        command = [sys.executable, "-m", "flowersweep", "--multirun", *SMALL, *places, *budget]
        return subprocess.Popen(
            command,
            env={**environment(), **_cache()},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _training(self, running: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes] | None":
        """The sweep as soon as it trains, started again if it has ended; None if all trials are done."""
        until = time.monotonic() + _START_SECONDS
        while not self._workers(running):
            if running.poll() is not None:
                if running.returncode == 0:
                    return None
                if running.returncode == EXIT_BAD_INPUT:
                    sys.exit(f"The command was refused; see {self.folder}/chaos.log")
                self._wait_for_the_end()
                running = self._start()
            if time.monotonic() > until:
                sys.exit(f"The sweep did not train within {_START_SECONDS} s; see {self.folder}/chaos.log")
            time.sleep(0.1)
        return running

    def _workers(self, running: "subprocess.Popen[bytes]") -> list[Pair]:
        """Each worker with a training process of it."""
        pairs = []
        with suppress(psutil.Error):
            for one in (children := psutil.Process(running.pid).children(recursive=True)):
                with suppress(psutil.Error):
                    if _TRAINING in " ".join(one.cmdline()) and (parent := one.parent()) is not None:
                        pairs.append((parent, one))
            self._processes.update(children)
        return pairs

    def _throw(self, kind: str, running: "subprocess.Popen[bytes]") -> None:
        pairs = self._workers(running)
        chosen = self._moment.choice(pairs) if pairs else None
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if kind in KILLS:
                _kill(kind, running, pairs, chosen)
            elif kind == "SIGSTOP":
                self._pause(*chosen or ())
            elif kind == "server":
                self._server.close()
                time.sleep(self._options.pause)
                self._serve()
            elif kind == "disk":
                self._fill()
            else:
                self._lock(self.folder / kind)

    def _pause(self, *processes: psutil.Process) -> None:
        for process in processes:
            process.suspend()
        time.sleep(self._options.pause)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _lock(self, path: Path) -> None:
        holder = sqlite3.connect(path, isolation_level=None, timeout=60)
        holder.execute("BEGIN IMMEDIATE")
        time.sleep(self._options.pause)
        holder.execute("ROLLBACK")
        holder.close()

    def _fill(self) -> None:
        ballast = self.folder / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        time.sleep(self._options.pause)
        ballast.unlink()

    def _serve(self) -> None:
        if self._port is not None:
            self._server.enter_context(_served(self.folder, self._port))

    def _wait_for_the_end(self) -> None:
        """Wait until no process of a sweep that has ended is left; one that stays is reported."""
        _, alive = psutil.wait_procs(list(self._processes), timeout=_END_SECONDS)
        if alive:
            sys.stdout.write(f"left behind: {', '.join(str(process.pid) for process in alive)}\n")
            for process in alive:
                process.kill()
            self.thrown["left behind"] += len(alive)
        self._processes.clear()

    @property
    def uri(self) -> str:
        """The tracking store."""
        return (
            f"sqlite:///{self.folder}/mlflow.db" if self._port is None else f"http://127.0.0.1:{self._port}"
        )


def _kill(kind: str, running: "subprocess.Popen[bytes]", pairs: Sequence[Pair], chosen: Pair | None) -> None:
    if kind in {"SIGINT", "SIGTERM"}:
        running.send_signal(getattr(signal, kind))
        return
    targets: dict[str, Sequence[psutil.Process]] = {
        "training": chosen[1:] if chosen else (),
        "worker": chosen[:1] if chosen else (),
        "everything": [process for pair in pairs for process in pair],
    }
    for process in targets.get(kind, ()):
        process.kill()
    if kind in {"sweeper", "everything"}:
        running.kill()


@contextmanager
def _served(folder: Path, port: int) -> Iterator[None]:
    """An MLflow server over a database in a folder."""
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "served"),
    ]
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    small = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", *store, *address]
    with subprocess.Popen(
        command, env=small, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            for _ in range(_START_SECONDS):
                with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
                time.sleep(1)
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


def _cache() -> dict[str, str]:
    kept = os.environ.get("FLOWERSWEEP_CACHE")
    return {} if kept is None else {"FLOWERSWEEP_CACHE": kept}


@contextmanager
def _folder(options: argparse.Namespace) -> Iterator[Path]:
    """A new folder for a round; on a small disk of its own with --tmpfs."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=options.folder))
    if options.tmpfs:
        subprocess.run(["/usr/bin/mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        if options.tmpfs:
            subprocess.run(["/usr/bin/umount", "--lazy", str(folder)], check=True)
        if not options.keep:
            shutil.rmtree(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run rounds until the faults are thrown; print a table; return the exit code."""
    options = _options(arguments)
    moment = random.Random(options.seed)  # noqa: S311 - it picks moments, not secrets
    kinds = [*KILLS, "SIGSTOP", "optuna.db", *(["server"] if options.server else ["mlflow.db"])]
    kinds += ["disk"] if options.tmpfs else []
    queue = [kind for _ in range(options.faults) for kind in moment.sample(kinds, len(kinds))][
        : options.faults
    ]
    thrown: Counter[str] = Counter()
    total = Findings()
    rounds = 0
    while sum(thrown[kind] for kind in kinds) < options.faults:
        rounds += 1
        with _folder(options) as folder, Round(options, folder, moment) as one:
            begun = sum(thrown[kind] for kind in kinds)
            one.run(queue[begun : begun + options.per_round])
            thrown += one.thrown
            found = check(folder, one.uri, options.trials, options.data)
            total += found
            sys.stdout.write(f"round {rounds}: {dict(one.thrown)}; {found.line()}\n")
            sys.stdout.flush()
    sys.stdout.write(f"\nseed {options.seed}, {rounds} rounds, {sum(thrown.values())} faults\n")
    for kind, count in thrown.most_common():
        sys.stdout.write(f"  {kind:12} {count:4}\n")
    sys.stdout.write(f"{total.line()}\n")
    return int(total.is_bad() or thrown["left behind"] > 0)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=20, help="number of faults in all rounds")
    parser.add_argument("--per-round", type=int, default=5, help="faults in a round")
    parser.add_argument("--seed", type=int, default=0, help="of the kinds and moments of the faults")
    parser.add_argument("--jobs", type=int, default=2, help="workers")
    parser.add_argument("--trials", type=int, default=8, help="trials of a round")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of a trial")
    parser.add_argument("--gap", type=float, default=5.0, help="longest time in seconds between faults")
    parser.add_argument(
        "--pause", type=float, default=5.0, help="seconds for which a process is stopped or a store away"
    )
    parser.add_argument("--data", type=Path, help="a folder of photographs instead of synthetic flowers")
    parser.add_argument(
        "--server", action="store_true", help="store runs through an MLflow server, and stop it"
    )
    parser.add_argument(
        "--tmpfs", action="store_true", help="results on a disk of 64 MB, which is filled; needs root"
    )
    parser.add_argument("--folder", type=Path, help="where results are stored while they are needed")
    parser.add_argument("--keep", action="store_true", help="keep the results of all rounds")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
