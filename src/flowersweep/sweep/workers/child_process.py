"""A child process of a worker and the socket to it: start it, exchange messages, and end it with all its children."""

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

from flowersweep.sweep.workers.training_log import TrainingLog

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0

_BOOTSTRAP = "import sys; sys.path[:] = {path!r}; from flowersweep.sweep.workers.trial_server import serve; serve({fd}, {pid})"


class ChildProcess:
    """A process that serves trials; it starts to load its modules at once, without blocking the caller.

    Args:
        application: What it runs, packed.
        environment: Its environment variables.
        output: A `TrainingLog` of it; None for the output of this process.
    """

    def __init__(self, application: bytes, environment: Mapping[str, str], output: Path | None) -> None:
        here, there = socket.socketpair()
        self._log = TrainingLog(output) if output else None
        with there:
            self._process = _popen(there.fileno(), environment, self._log)
        self._connection = Connection(here.detach())
        try:
            self._connection.send_bytes(application)
        except OSError:
            log.debug("The training process died at once; running a trial in it will report the reason.")

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def send(self, message: Any) -> None:
        """Send a message to the process.

        Raises:
            ConnectionError: It has died.
        """
        self._connection.send(message)

    def send_packed(self, message: bytes) -> None:
        """Send a message that is already pickled.

        Raises:
            ConnectionError: The process has died.
        """
        self._connection.send_bytes(message)

    def has_died(self) -> bool:
        """Whether it has ended, whatever its socket says."""
        return self._process.poll() is not None

    def poll(self, seconds: float) -> bool:
        """Wait for at most this time; return whether it has sent a message or died.

        Its socket tells nothing about its death: a child that it has forked may have it, too.
        """
        return self._connection.poll(seconds) or self.has_died()

    def receive(self) -> Any:
        """Return its next message.

        Raises:
            EOFError: It has died.
            ConnectionError: It has died.
        """
        if self.has_died() and not self._connection.poll(0):
            raise EOFError
        return self._connection.recv()

    def trial_ended(self) -> None:
        """Begin the output of another trial."""
        if self._log is not None:
            self._log.cut()

    def dismiss(self) -> None:
        """Let the process end by itself when it is idle; `end` must still be called later."""
        try:
            self._connection.send(None)
        except OSError:
            log.debug("The training process had already ended.")

    def exit_code(self) -> int:
        """The exit code of a process that has closed its socket; it is killed if it does not end."""
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.end(patience=0)
        return code

    def kill(self) -> None:
        """Kill the process and its children, without waiting."""
        _kill_group(self.pid)

    def end(self, *, patience: float | None = None, interrupt: bool = True) -> None:
        """End the process, and kill its children and the process itself if it does not end.

        Args:
            patience: Seconds in which it may close its run; STOP_SECONDS if None.
            interrupt: Send SIGTERM first; otherwise it was already told to end by itself.
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
            if self._log is not None:
                self._log.close()


def _popen(
    descriptor: int, environment: Mapping[str, str], output: TrainingLog | None
) -> subprocess.Popen[bytes]:
    path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - sys.path holds strings
    command = [sys.executable, "-c", _BOOTSTRAP.format(path=path, fd=descriptor, pid=os.getpid())]
    try:
        # A separate session, so that Ctrl-C reaches only the worker, which decides what happens.
        return subprocess.Popen(  # noqa: S603 - this interpreter and this package
            command,
            stdin=subprocess.DEVNULL,
            stdout=output.writer if output else None,
            stderr=subprocess.STDOUT if output else None,
            env=environment,
            pass_fds=[descriptor],
            start_new_session=True,
        )
    finally:
        if output:
            os.close(output.writer)


def _kill_group(pid: int) -> None:
    """Kill a process and its children."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        log.debug("The group of process %d has ended.", pid)  # macOS raises this for zombies
