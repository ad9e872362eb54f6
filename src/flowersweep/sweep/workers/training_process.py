"""A worker's handle on its training process, which is started when needed and replaced if it has leaked or died.

With a separate process, running out of memory costs a trial and not the sweep. It grows by about a megabyte per trial,
because TensorFlow never frees some of its traced functions, so it is replaced regularly.
"""

import logging
import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import psutil

from flowersweep.errors import SweepError
from flowersweep.hardware import available_processors
from flowersweep.sweep.study.outcome import Outcome, of_death
from flowersweep.sweep.workers.child_process import ChildProcess
from flowersweep.sweep.workers.messages import (
    ATTRS,
    BROKEN,
    LEADS,
    OUTCOME,
    READY,
    REPORT,
    Application,
    Job,
    Message,
    packed,
)
from flowersweep.tracking.mlflow_api import ELSEWHERE

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2

_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")

# Set by the user or by Ray, and by Slurm.
_CORES = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")


class Relay(Protocol):
    """The callbacks of a training process while it runs a trial."""

    def report(self, step: int, value: float) -> bool:
        """Store a value; return True to prune the trial."""

    def keep(self, attrs: Mapping[str, Any]) -> None:
        """Store attributes of the trial."""

    def leads(self, value: float) -> bool:
        """Return True if no finished trial has a better value."""

    def must_stop(self) -> bool:
        """Return True to end the trial at once; asked several times a second."""


class TrainingProcess:
    """Runs trials in a separate process.

    Args:
        application: What to run.
        n_workers: Number of workers that share this machine; each gets its share of the cores.
        trials_per_process: A process is replaced after this number of trials.
        max_growth_mb: It is also replaced if it uses this much more memory than after its first trial.
        output: The file of its `TrainingLog`; None for the output of this process.
        variables: Environment variables in addition to those of this process.
    """

    def __init__(
        self,
        application: Application,
        *,
        n_workers: int = 1,
        trials_per_process: int = 32,
        max_growth_mb: int = 1024,
        output: Path | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        if os.name != "posix":
            raise SweepError("Sweeps run on Linux and macOS only; on Windows use WSL.")
        self._main = application.main
        self._packed = pickle.dumps((application.main, packed(application, application.main)))
        self._environment = {**environment(n_workers), **(variables or {})}
        self._trials_per_process = trials_per_process
        self._max_growth_mb = max_growth_mb
        self._output = output
        self._process: ChildProcess | None = None
        self._spare: ChildProcess | None = None
        self._retired: ChildProcess | None = None
        self._n_trials = 0
        self._first_mb: float | None = None

    @property
    def pid(self) -> int | None:
        """The id of the current process; None if there is none."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process if there is none, without waiting for it."""
        if self._process is None:
            self._process, self._spare = self._spare or self._started_child(), None
            self._n_trials, self._first_mb = 0, None

    def run(self, job: Job, relay: Relay) -> Outcome | None:
        """Run a trial to its end.

        Returns:
            Its outcome; None if the relay stopped it.

        Raises:
            SweepError: The process cannot load the application, so no trial can run.
        """
        self.start()
        try:
            process = self._given(packed(job, self._main))
            if self._n_trials + 1 == self._trials_per_process and self._spare is None:
                self._spare = self._started_child()  # it loads its modules during the last trial of this one
            outcome = _converse(process, job, relay)
        except (EOFError, ConnectionError):
            process, self._process = self._running, None
            return of_death(process.exit_code())
        if outcome is None:
            self.close()
            return None
        process.trial_ended()
        self._n_trials += 1
        if self._is_worn():
            self._retire()
        return outcome

    @property
    def _running(self) -> ChildProcess:
        assert self._process is not None  # noqa: S101 - it was started
        return self._process

    def _given(self, job: bytes) -> ChildProcess:
        """Send a job to the process; one that has died while it was idle is replaced, because no trial is to blame for that.

        Raises:
            ConnectionError: The new one has died, too.
        """
        with suppress(ConnectionError):
            if not self._running.has_died():
                self._running.send_packed(job)
                return self._running
        log.warning("The training process ended while no trial was running; another one is started.")
        self._running.end(patience=0)
        self._process = None
        self.start()
        self._running.send_packed(job)
        return self._running

    def _retire(self) -> None:
        """Let the process end by itself during the next trial, which gets a new one."""
        self._end_retired()
        if self._process is not None:
            self._process.dismiss()
            self._process, self._retired = None, self._process

    def close(self) -> None:
        """Stop the process: it has some seconds to close its run, then it is killed with all its children."""
        for process in filter(None, (self._process, self._spare)):
            process.end()
        self._process = self._spare = None
        self._end_retired()

    def kill(self) -> None:
        """Kill it with all its children, from another thread, without waiting."""
        for process in filter(None, (self._process, self._spare, self._retired)):
            process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started_child(self) -> ChildProcess:
        return ChildProcess(self._packed, self._environment, self._output)

    def _end_retired(self) -> None:
        """Wait for the previously retired process, and end its remaining children."""
        retired, self._retired = self._retired, None
        if retired is not None:
            retired.end(interrupt=False)

    def _is_worn(self) -> bool:
        if self._n_trials >= self._trials_per_process:
            return True
        now = _memory_mb(self.pid)
        if self._first_mb is None:
            self._first_mb = now
        return now is not None and self._first_mb is not None and now - self._first_mb > self._max_growth_mb


def _converse(process: ChildProcess, job: Job, relay: Relay) -> Outcome | None:
    while True:
        while not process.poll(TICK_SECONDS):
            if relay.must_stop():
                return None
        message: Message = process.receive()
        if not message.is_of(process.pid, job):
            log.debug("Refused from process %d: %s", process.pid, message)
            continue
        if message.kind == OUTCOME:
            return message.content[0]  # type: ignore[no-any-return] # a socket has no types
        # A run that reports faster than the tick must be stopped here.
        if message.kind == REPORT and relay.must_stop():
            return None
        _answer(process, relay, message.kind, message.content)


def _answer(process: ChildProcess, relay: Relay, kind: str, content: tuple[Any, ...]) -> None:
    if kind == REPORT:
        process.send(relay.report(*content))
    elif kind == LEADS:
        process.send(relay.leads(*content))
    elif kind == ATTRS:
        relay.keep(*content)
    elif kind == BROKEN:
        raise SweepError(f"The training process cannot load the program: {content[0].reason}")
    elif kind != READY:
        raise AssertionError(f"unknown message {kind}")


def environment(n_workers: int) -> dict[str, str]:
    """The environment of a training process: its share of the cores, and no variable that redirects its MLflow run.

    Args:
        n_workers: Number of workers that share this machine, unless Slurm or Ray has given this one cores of its own.
    """
    share = str(max(1, available_processors() // n_workers))
    threads = next((given for name in _CORES if (given := os.environ.get(name))), share)
    inherited = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return dict.fromkeys(_THREADS, threads) | inherited


def _memory_mb(pid: int | None) -> float | None:
    """Resident memory of a process; None if there is none."""
    try:
        return float(psutil.Process(pid).memory_info().rss / 2**20) if pid is not None else None
    except psutil.Error:
        return None
