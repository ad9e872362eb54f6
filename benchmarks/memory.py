"""Watch the memory of a sweep's training processes from outside."""

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
# Trials of a process that do not count: libraries are still being imported and buffers allocated.
SETTLING = 2


@dataclass(frozen=True)
class Look:
    """What one look at a training process saw.

    Attributes:
        when: Seconds since 1970.
        pid: Of the process.
        megabytes: Resident memory.
    """

    when: float
    pid: int
    megabytes: float


@dataclass(frozen=True)
class Watched:
    """What came of watching.

    Attributes:
        peak: Most resident memory of any training process, MB.
        growth: MB per trial in the first process; None if it had too few trials.
        processes: How many training processes there were.
    """

    peak: float
    growth: float | None
    processes: int


def watch(arguments: Sequence[str], results: Path) -> Watched:
    """Run a sweep with one worker and watch its training processes.

    Args:
        arguments: For `python -m flowersweep`.
        results: Where the sweep puts it.
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
    """The memory that a process had when each of its trials ended.

    Args:
        looks: At one process, in the order of time.
        ends: When trials ended, whichever process ran them, in the order of time.
    """
    times = [look.when for look in looks]
    own = [end for end in ends if times[0] <= end <= times[-1] + LOOK_SECONDS]
    return [looks[max(0, bisect_left(times, end) - 1)].megabytes for end in own]


def growth(megabytes: Sequence[float]) -> float | None:
    """MB per trial: the slope of the straight line through what was there after each; None below three trials."""
    if len(megabytes) < 3:
        return None
    return statistics.linear_regression(range(len(megabytes)), megabytes).slope


def _looks(command: list[str]) -> list[Look]:
    """Run a command; look at its training process until it ends."""
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
    """The training processes among a process's children."""
    looks = []
    for child in psutil.Process(parent).children():
        try:
            if any("flowersweep.sweep.workers.trial_server" in argument for argument in child.cmdline()):
                looks.append(Look(time.time(), child.pid, child.memory_info().rss / 2**20))
        except psutil.Error:
            continue  # it has ended
    return looks
