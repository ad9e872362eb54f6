"""A child process of a worker and the socket to it: started, spoken to, and ended with all that it started."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0

_BOOTSTRAP = "import sys; sys.path[:] = {path!r}; from flowersweep.sweep.workers.trial_server import serve; serve({fd}, {pid})"


class ChildProcess:
    """A process that serves trials; it begins to load its modules at once, and nobody waits for that.

    Args:
        application: What it is to run, packed.
        environment: Its environment variables.
        output: A file to which everything that it prints is appended; None for this process's own output.
    """

    def __init__(self, application: bytes, environment: Mapping[str, str], output: Path | None) -> None:
        here, there = socket.socketpair()
        with there:
            self._process = _popen(there.fileno(), environment, output)
        self._connection = Connection(here.detach())
        try:
            self._connection.send_bytes(application)
        except OSError:
            log.debug("The training process died at once; running a trial in it will tell how.")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, message: Any) -> None:
        """Say something to the process.

        Raises:
            ConnectionError: It has died.
        """
        self._connection.send(message)

    def poll(self, seconds: float) -> bool:
        """Wait for so long at most; tell whether it has said something, or died."""
        return self._connection.poll(seconds)

    def receive(self) -> Any:
        """What it said.

        Raises:
            EOFError: It has died.
            ConnectionError: It has died.
        """
        return self._connection.recv()

    def dismiss(self) -> None:
        """Let the process end by itself once it is idle; `end` it later all the same."""
        try:
            self._connection.send(None)
        except OSError:
            log.debug("The training process was gone already.")

    def exit_code(self) -> int:
        """The exit code of a process that has hung up; one that hangs is killed."""
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.end(patience=0)
        return code

    def end(self, *, patience: float | None = None, interrupt: bool = True) -> None:
        """End the process, and kill what it has started and what is left of itself.

        Args:
            patience: Seconds that it has to close its run; STOP_SECONDS if None.
            interrupt: Send SIGTERM first; otherwise it was told before to end by itself.
        """
        patience = STOP_SECONDS if patience is None else patience
        try:
            if interrupt and patience and self._process.poll() is None:
                self._process.terminate()
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            log.debug("The training process %d is killed.", self.pid)
        finally:
            _kill_group(self.pid)
            self._process.wait()
            self._connection.close()


def _popen(descriptor: int, environment: Mapping[str, str], output: Path | None) -> subprocess.Popen[bytes]:
    path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - sys.path holds strings
    command = [sys.executable, "-c", _BOOTSTRAP.format(path=path, fd=descriptor, pid=os.getpid())]
    file = output.open("ab") if output else None
    try:
        # A session of its own, so that Ctrl-C reaches the worker first and the worker decides what happens.
        return subprocess.Popen(  # noqa: S603 - this interpreter and this package
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT if file else None,
            env=environment,
            pass_fds=[descriptor],
            start_new_session=True,
        )
    finally:
        if file:
            file.close()


def _kill_group(pid: int) -> None:
    """Kill a process and whatever it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        log.debug("The group of process %d has ended.", pid)  # macOS says so of zombies
