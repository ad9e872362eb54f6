"""The end of the socket that a training process has: its running trial speaks to the worker through it, and nobody else."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from flowersweep.sweep.workers.messages import Job, Message


class Channel:
    """Sends messages in the name of the running trial, and receives their answers.

    A trial may start threads, processes and programs, which live as long as they like. Only threads of the process that
    runs the trial can speak, and only while the trial runs: an answer would otherwise be read by somebody else.

    Args:
        descriptor: File descriptor of the socket, inherited from the worker.
    """

    def __init__(self, descriptor: int) -> None:
        # Not for programs that a trial starts.
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - it has no names
        self._connection = Connection(descriptor)
        # The worker would wait for the end of a file that a forked child still has.
        os.register_at_fork(after_in_child=self.close)
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._job: Job | None = None

    @property
    def is_of_this_process(self) -> bool:
        """False in a forked child."""
        return os.getpid() == self._pid

    def close(self) -> None:
        """Close it; the worker reads the end of a file."""
        self._connection.close()

    def received(self) -> bytes:
        """The next bytes from the worker."""
        return self._connection.recv_bytes()

    def next_job(self) -> Job | None:
        """The next trial to run; None at the end."""
        try:
            return self._connection.recv()  # type: ignore[no-any-return] # a socket has no types
        except EOFError:
            return None

    @contextmanager
    def of(self, job: Job) -> Iterator[None]:
        """During the block, the trial of this job may speak."""
        self._job = job
        try:
            yield
        finally:
            with self._lock:  # until the last answer has arrived
                self._job = None

    def say(self, kind: str, *content: Any, job: Job | None = None) -> None:
        """Send a message that has no answer; in the name of a job, or None for the process itself."""
        trial = None if job is None else (job.number, job.attempt)
        self._connection.send(Message(kind, content, self._pid, trial))

    def tell(self, job: Job, kind: str, *content: Any) -> None:
        """Send a message of a running trial.

        Raises:
            RuntimeError: The trial does not run in this process.
        """
        with self._speaking(job):
            self.say(kind, *content, job=job)

    def ask(self, job: Job, kind: str, *content: Any) -> bool:
        """Send a message of a running trial, and return the answer.

        Raises:
            RuntimeError: The trial does not run in this process.
        """
        with self._speaking(job):
            self.say(kind, *content, job=job)
            return bool(self._connection.recv())

    @contextmanager
    def _speaking(self, job: Job) -> Iterator[None]:
        refusal = RuntimeError(
            f"Trial {job.number} cannot report from here: it has ended, or this is a process that it forked."
        )
        if not self.is_of_this_process:  # where the lock may be held by a thread that does not exist
            raise refusal
        with self._lock:
            if self._job is not job:
                raise refusal
            yield
