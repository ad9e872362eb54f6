"""A worker's handle on its training process: started when needed, replaced when it has leaked or died.

Traced functions of TensorFlow are never freed, so a process is good for a few trials only; and a process of its own
means that running out of memory costs a trial and not the sweep.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from flowersweep.errors import SweepError
from flowersweep.sweep.child import ATTRS, BROKEN, LEADS, OUTCOME, READY, REPORT, Application, Job, packed
from flowersweep.sweep.outcome import Outcome, of_death

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
TICK_SECONDS = 0.2

_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_BOOTSTRAP = (
    "import sys; sys.path[:] = {path!r}; from flowersweep.sweep.child import serve; serve({fd}, {pid})"
)


class Relay(Protocol):
    """What a training process needs from the outside while it runs a trial."""

    def report(self, step: int, value: float) -> bool:
        """Take a value; return True to prune the trial."""

    def keep(self, attrs: Mapping[str, Any]) -> None:
        """Take attributes of the trial."""

    def leads(self, value: float) -> bool:
        """Return True if no finished trial has a better value."""

    def must_stop(self) -> bool:
        """Return True to end the trial at once; asked several times a second."""


class TrainingProcess:
    """Runs trials in a process of its own.

    Args:
        application: What to run.
        n_workers: How many workers share this machine; each gets its part of the cores.
        trials_per_process: A process is replaced after so many trials.
        max_growth_mb: And when it uses so much more memory than after its first trial.
        output: A file to which everything that the process prints is appended; None for this process's own output.
    """

    def __init__(
        self,
        application: Application,
        *,
        n_workers: int = 1,
        trials_per_process: int = 8,
        max_growth_mb: int = 1024,
        output: Path | None = None,
    ) -> None:
        if os.name != "posix":
            raise SweepError("Sweeps run on Linux and macOS only; on Windows use WSL.")
        self._packed = packed(application)
        self._environment = environment(n_workers)
        self._trials_per_process = trials_per_process
        self._max_growth_mb = max_growth_mb
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._n_trials = 0
        self._first_mb: float | None = None

    @property
    def pid(self) -> int | None:
        """Of the living process; None if there is none now."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begin to start the process if there is none; does not wait for it."""
        if self._process is not None:
            return
        here, there = socket.socketpair()
        with there:
            self._process = self._spawn(there.fileno())
        self._connection = Connection(here.detach())
        self._n_trials, self._first_mb = 0, None
        try:
            self._connection.send_bytes(self._packed)
        except OSError:
            log.debug("The training process died at once; running a trial in it will tell how.")

    def run(self, job: Job, relay: Relay) -> Outcome | None:
        """Run a trial to its end.

        Returns:
            Its outcome; None if it was stopped because the relay wanted that.

        Raises:
            SweepError: The process cannot load the application, so no trial can run.
        """
        self.start()
        try:
            outcome = self._converse(job, relay)
        except (EOFError, ConnectionError):
            return of_death(self._ended())
        if outcome is None:
            self.close()
            return None
        self._n_trials += 1
        if self._is_worn():
            self.recycle()
        return outcome

    def recycle(self) -> None:
        """Let the process end in peace; the next trial gets a new one."""
        if self._connection is not None:
            try:
                self._connection.send(None)
            except OSError:
                log.debug("The training process was gone already.")
        self._end(signal.SIGTERM, patience=STOP_SECONDS, ask_first=True)

    def close(self) -> None:
        """Stop the process: it has STOP_SECONDS to close its run, then it is killed with all it started."""
        self._end(signal.SIGTERM, patience=STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - sys.path holds strings
        command = [sys.executable, "-c", _BOOTSTRAP.format(path=path, fd=descriptor, pid=os.getpid())]
        output = self._output.open("ab") if self._output else None
        try:
            # A session of its own, so that Ctrl-C reaches the worker first and the worker decides what happens.
            return subprocess.Popen(  # noqa: S603 - this interpreter and this package
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                env=self._environment,
                pass_fds=[descriptor],
                start_new_session=True,
            )
        finally:
            if output:
                output.close()

    def _converse(self, job: Job, relay: Relay) -> Outcome | None:
        connection = self._connection
        assert connection is not None  # noqa: S101 - start() was called
        connection.send(job)
        while True:
            while not connection.poll(TICK_SECONDS):
                if relay.must_stop():
                    return None
            kind, *content = connection.recv()
            if kind == OUTCOME:
                return content[0]  # type: ignore[no-any-return] # a socket has no types
            # A run that reports faster than the tick must be stopped here.
            if kind == REPORT and relay.must_stop():
                return None
            self._answer(connection, relay, kind, content)

    @staticmethod
    def _answer(connection: Connection, relay: Relay, kind: str, content: list[Any]) -> None:
        if kind == REPORT:
            connection.send(relay.report(*content))
        elif kind == LEADS:
            connection.send(relay.leads(*content))
        elif kind == ATTRS:
            relay.keep(*content)
        elif kind == BROKEN:
            raise SweepError(f"The training process cannot load the program: {content[0].reason}")
        elif kind != READY:
            raise AssertionError(f"unknown message {kind}")

    def _is_worn(self) -> bool:
        if self._n_trials >= self._trials_per_process:
            return True
        now = _memory_mb(self.pid)
        if self._first_mb is None:
            self._first_mb = now
        return now is not None and self._first_mb is not None and now - self._first_mb > self._max_growth_mb

    def _ended(self) -> int:
        """The exit code of a process that has hung up."""
        process = self._process
        assert process is not None  # noqa: S101 - it was running a trial
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL  # it closed its socket and hangs
        self._end(signal.SIGKILL, patience=0)
        return code

    def _end(self, number: int, *, patience: float, ask_first: bool = False) -> None:
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if process is None:
            return
        try:
            if not ask_first and process.poll() is None:
                process.send_signal(number)
            process.wait(patience)
        except subprocess.TimeoutExpired:
            log.debug("The training process %d is killed.", process.pid)
        finally:
            _kill_group(process.pid)
            process.wait()
            if connection is not None:
                connection.close()


def environment(n_workers: int) -> dict[str, str]:
    """The environment of a training process: its part of the cores, and nothing that redirects its MLflow run.

    Args:
        n_workers: How many share this machine.
    """
    threads = str(max(1, _cores() // n_workers))
    inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_RUN_ID"}
    return dict.fromkeys(_THREADS, threads) | inherited


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_mb(pid: int | None) -> float | None:
    """Resident memory of a process; None where /proc does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(sizes[0]) / 1024 if sizes else None


def _kill_group(pid: int) -> None:
    """Kill a process and whatever it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        log.debug("The group of process %d has ended.", pid)  # macOS says so of zombies
