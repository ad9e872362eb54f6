"""Measurement of the memory of a sweep's training processes from another process."""

import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.fresh import environment
from benchmarks.results import study

LOOK_SECONDS = 0.2
# The first trials of a process do not count, because libraries are imported and buffers allocated.
SETTLING = 2


@dataclass(frozen=True)
class Look:
    """One measurement of a training process.

    Attributes:
        when: Seconds since 1970.
        pid: The id of the process.
        megabytes: Resident memory.
    """

    when: float
    pid: int
    megabytes: float


@dataclass(frozen=True)
class Watched:
    """The results of all measurements.

    Attributes:
        peak: Maximum resident memory of any training process, MB.
        growth: MB per trial in the first process; None if it had too few trials.
        processes: The number of training processes.
    """

    peak: float
    growth: float | None
    processes: int


def watch(arguments: Sequence[str], results: Path) -> Watched:
    """Run a sweep with one worker and measure its training processes.

    Args:
        arguments: The arguments of `python -m flowersweep`.
        results: The folder of the sweep's results.
    """
    looks = _looks([sys.executable, "-m", "flowersweep", *arguments])
    finished = [trial.datetime_complete for trial in study(results).trials]
    ends = sorted(moment.timestamp() for moment in finished if moment is not None)
    first = [look for look in looks if look.pid == looks[0].pid]
    return Watched(
        peak=max(look.megabytes for look in looks),
        growth=growth(at_ends(first, ends)[SETTLING:]),
        processes=len({look.pid for look in looks}),
    )


def at_ends(looks: Sequence[Look], ends: Sequence[float]) -> list[float]:
    """The memory of a process at the end of each of its trials.

    Args:
        looks: The measurements of one process, in the order of time.
        ends: The ends of the trials of all processes, in the order of time.
    """
    times = [look.when for look in looks]
    own = [end for end in ends if times[0] <= end <= times[-1] + LOOK_SECONDS]
    return [looks[max(0, bisect_left(times, end) - 1)].megabytes for end in own]


def growth(megabytes: Sequence[float]) -> float | None:
    """MB per trial: the slope of a linear regression; None for fewer than three trials."""
    if len(megabytes) < 3:
        return None
    return statistics.linear_regression(range(len(megabytes)), megabytes).slope


def _looks(command: list[str]) -> list[Look]:
    """Run a command and measure its training processes until it ends."""
    looks: list[Look] = []
    with tempfile.TemporaryFile() as output:
        sweep = subprocess.Popen(command, env=environment(), stdout=output, stderr=subprocess.STDOUT)
        try:
            while sweep.poll() is None:
                looks.extend(_look_at_children(sweep.pid))
                time.sleep(LOOK_SECONDS)
        finally:
            sweep.terminate()
            sweep.wait()
        if sweep.returncode or not looks:
            output.seek(0)
            sys.exit(f"{' '.join(command)}\nfailed:\n{output.read().decode(errors='replace')[-4000:]}")
    return looks


def _look_at_children(parent: int) -> list[Look]:
    """Measure the training processes among the children of a process."""
    looks = []
    for child in psutil.Process(parent).children():
        try:
            if any("flowersweep.sweep.workers.trial_server" in argument for argument in child.cmdline()):
                looks.append(Look(time.time(), child.pid, child.memory_info().rss / 2**20))
        except psutil.Error:
            continue  # the process has ended
    return looks
