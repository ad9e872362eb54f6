"""The same forty trials, one of them slow, killed once and started again, with the official sweeper and with `study`.

    python benchmarks/migration.py [--rounds 3] [--seconds 1] [--workers 2]

Each sweep runs in new processes, stores its study in SQLite, and is killed with SIGKILL when fifteen trainings have ended.
The same command is then given again; the official sweeper also once with the number of trials that are missing, which its
user has to count. Ratios are relative to the official sweeper with the counted number, in the same round.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.sweep_overhead import OFFICIAL, STUDY, alternating, command, row

TRIALS, KILLED_AFTER, SLOW = 40, 15, 10
COUNTED = f"{OFFICIAL}, missing trials counted"
NAME = "migration"


@dataclass(frozen=True)
class Result:
    """What became of a sweep.

    Attributes:
        wall: Seconds of both runs, until the study has forty complete trials.
        trainings: How many trainings ended, in both runs.
        lost: Those whose result is not in the study.
        states: How many trials the study has, by state.
    """

    wall: float
    trainings: int
    lost: int
    states: Counter[str]


def held(sweeper: str, seconds: float, n_workers: int) -> Result:
    """Run a sweep, kill it, and run it again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = [f"hydra.sweeper.storage=sqlite:///{folder}/study.db", f"hydra.sweeper.study_name={NAME}"]
        program = STUDY if sweeper == STUDY else OFFICIAL

        def typed(n_trials: int, slow: int) -> list[str]:
            return command(
                program, folder, n_trials, n_workers, *settings, f"seconds={seconds}", f"long={slow}"
            )

        began = time.monotonic()
        killed(typed(TRIALS, SLOW), folder, seconds)
        missing = TRIALS - states(folder)["COMPLETE"] if sweeper == COUNTED else TRIALS
        # The official sweeper numbers its jobs from 0 again; without this, it would have a second slow one.
        second = typed(missing, SLOW if program == STUDY else 1)
        subprocess.run(second, cwd=folder, check=True, capture_output=True)
        wall = time.monotonic() - began
        found = states(folder)
        trainings = len(ended(folder))
        return Result(wall, trainings, trainings - found["COMPLETE"], found)


def killed(arguments: Sequence[str], folder: Path, seconds: float) -> None:
    """Start a sweep, and kill all its processes when fifteen trainings of so many seconds have ended."""
    running = subprocess.Popen(
        arguments,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(ended(folder)) < KILLED_AFTER:
        if running.poll() is not None:
            raise SystemExit(f"{' '.join(arguments)} ended before it was killed.")
        time.sleep(0.02)
    time.sleep(seconds / 2)  # in the middle of a training
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def ended(folder: Path) -> list[str]:
    """The trainings that have ended."""
    marks = folder / "marks"
    return marks.read_text(encoding="utf-8").splitlines() if marks.exists() else []


def states(folder: Path) -> Counter[str]:
    """How many trials the study has, by state."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{folder}/study.db")
    return Counter(trial.state.name for trial in study.trials)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    found: dict[str, list[Result]] = {OFFICIAL: [], COUNTED: [], STUDY: []}
    for sweeper in alternating(list(found), arguments.rounds):
        found[sweeper].append(held(sweeper, arguments.seconds, arguments.workers))
    row("sweeper", "wall time", "ratio", "trainings", "results lost", "trials of the study")
    row("---", "---", "---", "---", "---", "---")
    for sweeper, results in found.items():
        walls = [result.wall for result in results]
        ratio = statistics.median(
            mine.wall / its.wall for mine, its in zip(results, found[COUNTED], strict=True)
        )
        row(
            sweeper,
            f"{statistics.median(walls):.1f} s ({min(walls):.1f} to {max(walls):.1f})",
            f"{ratio:.2f}",
            " ".join(str(result.trainings) for result in results),
            " ".join(str(result.lost) for result in results),
            "; ".join(str(dict(result.states)) for result in results),
        )


if __name__ == "__main__":
    main()
