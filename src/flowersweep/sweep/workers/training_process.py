"""A worker's handle on its training process: started when needed, replaced when it has leaked or died.

A process of its own means that running out of memory costs a trial and not the sweep. It grows by about a megabyte a
trial, as TensorFlow never frees some of its traced functions, so that it is replaced now and then.
"""

import os
from collections.abc import Mapping
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
    packed,
)
from flowersweep.tracking.mlflow_api import ELSEWHERE

TICK_SECONDS = 0.2

_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


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
        trials_per_process: int = 32,
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
        self._process: ChildProcess | None = None
        self._spare: ChildProcess | None = None
        self._retired: ChildProcess | None = None
        self._n_trials = 0
        self._first_mb: float | None = None

    @property
    def pid(self) -> int | None:
        """Of the living process; None if there is none now."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begin to start the process if there is none; does not wait for it."""
        if self._process is None:
            self._process, self._spare = self._spare or self._started_child(), None
            self._n_trials, self._first_mb = 0, None

    def run(self, job: Job, relay: Relay) -> Outcome | None:
        """Run a trial to its end.

        Returns:
            Its outcome; None if it was stopped because the relay wanted that.

        Raises:
            SweepError: The process cannot load the application, so no trial can run.
        """
        self.start()
        process = self._process
        assert process is not None  # noqa: S101 - it was started
        if self._n_trials + 1 == self._trials_per_process and self._spare is None:
            self._spare = self._started_child()  # it loads its modules beside the last trial of this one
        try:
            outcome = _converse(process, job, relay)
        except (EOFError, ConnectionError):
            self._process = None
            return of_death(process.exit_code())
        if outcome is None:
            self.close()
            return None
        self._n_trials += 1
        if self._is_worn():
            self._retire()
        return outcome

    def _retire(self) -> None:
        """Let the process end by itself, beside the next trial, which gets a new one."""
        self._end_retired()
        if self._process is not None:
            self._process.dismiss()
            self._process, self._retired = None, self._process

    def close(self) -> None:
        """Stop the process: it has some seconds to close its run, then it is killed with all it started."""
        for process in filter(None, (self._process, self._spare)):
            process.end()
        self._process = self._spare = None
        self._end_retired()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started_child(self) -> ChildProcess:
        return ChildProcess(self._packed, self._environment, self._output)

    def _end_retired(self) -> None:
        """Wait for the process that was retired before, and end what is left of it."""
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
    process.send(job)
    while True:
        while not process.poll(TICK_SECONDS):
            if relay.must_stop():
                return None
        kind, *content = process.receive()
        if kind == OUTCOME:
            return content[0]  # type: ignore[no-any-return] # a socket has no types
        # A run that reports faster than the tick must be stopped here.
        if kind == REPORT and relay.must_stop():
            return None
        _answer(process, relay, kind, content)


def _answer(process: ChildProcess, relay: Relay, kind: str, content: list[Any]) -> None:
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
    """The environment of a training process: its part of the cores, and nothing that redirects its MLflow run.

    Args:
        n_workers: How many share this machine.
    """
    threads = str(max(1, available_processors() // n_workers))
    inherited = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return dict.fromkeys(_THREADS, threads) | inherited


def _memory_mb(pid: int | None) -> float | None:
    """Resident memory of a process; None if there is none."""
    try:
        return float(psutil.Process(pid).memory_info().rss / 2**20) if pid is not None else None
    except psutil.Error:
        return None
