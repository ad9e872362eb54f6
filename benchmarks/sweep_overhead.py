"""The overhead of sweepers with trials that take no time, and the utilization of workers with trials that do.

    python benchmarks/sweep_overhead.py [--rounds 3] [--only overhead|busy1|busy3|exact|killed]

Hydra's `basic` sweeper, the official `optuna` sweeper and this project's `study` sweeper run the same stub objective
in alternating order, each time in new processes; ratios are relative to the official sweeper in the same round. The
trials of `study` run in separate processes and are stored in a database, which is included in its values; the other
two store everything in memory.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import optuna
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from flowersweep.sweep.storage.storage import open_storage

WHITELIST = ("hydra.*", "hydra_plugins.*", "optuna.*", "logging.*")
NODE = {
    "defaults": ["_self_", {"override hydra/job_logging": "none"}, {"override hydra/hydra_logging": "none"}],
    "x": 0.5,
    "seconds": 0.0,
    "long": 1,
    "folder": "",
    "tracking": {"dir": "${folder}"},
    "hydra": {"output_subdir": None, "sweep": {"dir": "${folder}/sweep"}},
}
OFFICIAL, STUDY, BASIC = "optuna", "study", "basic"
# `study` replaces a training process after 32 trials, because TensorFlow leaks memory; a stub does not.
KEPT = "study, processes reused"


@hydra.main(config_path=str(Path(__file__).parent), config_name="stub", execution_whitelist=WHITELIST)
def stub(cfg: DictConfig) -> float:
    """Sleep, trial 0 longer than the others, and record the start and the end."""
    began = time.time()
    number = HydraConfig.get().job.num
    time.sleep(cfg.seconds * (cfg.long if number == 0 else 1))
    with Path(cfg.folder, "marks").open("a", encoding="utf-8") as file:
        file.write(f"{began} {time.time()}\n")
    return float(cfg.x)


def command(sweeper: str, folder: Path, n_trials: int, n_workers: int, *more: str) -> list[str]:
    """The command line of a sweep of random points."""
    settings = [f"hydra/sweeper={sweeper.partition(',')[0]}", f"folder={folder}", *more]
    if sweeper == KEPT:
        settings.append("hydra.sweeper.trials_per_process=1000")
    if sweeper == BASIC:
        settings += [f"x={','.join(str(number / n_trials) for number in range(n_trials))}"]
    else:
        settings += ["x=interval(0.0,1.0)", "hydra/sweeper/sampler=random"]
        settings += [f"hydra.sweeper.n_trials={n_trials}", f"hydra.sweeper.n_jobs={n_workers}"]
    if n_workers > 1 and sweeper in {OFFICIAL, BASIC}:
        settings += [
            "hydra/launcher=joblib",
            f"hydra.launcher.n_jobs={n_workers}",
            "hydra.launcher.batch_size=1",
        ]
    return [sys.executable, __file__, "stub", "--multirun", *settings]


def run(sweeper: str, n_trials: int, n_workers: int, *more: str) -> tuple[float, list[tuple[float, float]]]:
    """Run a sweep and return its total time, and the start and the end of each trial."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.monotonic()
        arguments = command(sweeper, folder, n_trials, n_workers, *more)
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
        lines = (folder / "marks").read_text(encoding="utf-8").splitlines()
    marks = [(float(began), float(ended)) for began, ended in map(str.split, lines)]
    if len(marks) != n_trials:
        raise SystemExit(f"{sweeper} ran {len(marks)} trials instead of {n_trials}.")
    return seconds, marks


def alternating(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Each name once per round, every other round in the opposite order."""
    for number in range(rounds):
        yield from names if number % 2 == 0 else reversed(names)


def overhead(rounds: int) -> None:
    """Milliseconds per trial that does nothing: the difference of the times of 40 and 4 trials, divided by 36."""
    for n_workers in (1, 2):
        found: dict[str, list[float]] = {name: [] for name in (OFFICIAL, STUDY, KEPT, BASIC)}
        starts: dict[str, list[float]] = {name: [] for name in found}
        for name in alternating(list(found), rounds):
            few, _ = run(name, 4, n_workers)
            many, _ = run(name, 40, n_workers)
            found[name].append((many - few) / 36 * 1000)
            starts[name].append(few)
        for name, values in found.items():
            ratio = statistics.median(mine / its for mine, its in zip(values, found[OFFICIAL], strict=True))
            row(
                f"overhead per trial, K={n_workers}",
                name,
                f"{statistics.median(values):.0f} ms ({min(values):.0f} to {max(values):.0f})",
                f"{ratio:.2f}",
                f"4 trials in total: {statistics.median(starts[name]):.1f} s",
            )


def busy(rounds: int, seconds: int) -> None:
    """The utilization of four workers, if the first trial takes ten times as long as each of the 39 others.

    It is measured until the last trial starts, when no worker can get another one, and until the last trial ends.
    """
    found: dict[str, list[tuple[float, float]]] = {OFFICIAL: [], STUDY: [], KEPT: []}
    walls: dict[str, list[float]] = {name: [] for name in found}
    for name in alternating(list(found), rounds):
        wall, marks = run(name, 40, 4, f"seconds={seconds}", "long=10")
        found[name].append(
            (filled(marks, max(began for began, _ in marks)), filled(marks, max(ended for _, ended in marks)))
        )
        walls[name].append(wall)
    for name, parts in found.items():
        ratio = statistics.median(mine / its for mine, its in zip(walls[name], walls[OFFICIAL], strict=True))
        spent, whole = ([100 * part[index] for part in parts] for index in (0, 1))
        row(
            f"busy, 40 trials of {seconds} s, K=4, one 10x",
            name,
            f"{statistics.median(spent):.0f} % ({min(spent):.0f} to {max(spent):.0f}) until the last trial starts",
            f"{ratio:.2f}",
            f"{statistics.median(whole):.0f} % to the end; wall {statistics.median(walls[name]):.1f} s",
        )


def filled(marks: Sequence[tuple[float, float]], until: float) -> float:
    """The utilization of four workers from the start of the first trial until a time."""
    start = min(began for began, _ in marks)
    return sum(max(0.0, min(ended, until) - began) for began, ended in marks) / (4 * (until - start))


def exact(rounds: int) -> None:
    """Check whether four workers finish exactly forty trials."""
    counts = [len(run(STUDY, 40, 4)[1]) for _ in range(rounds)]
    row("40 trials, K=4", STUDY, " ".join(map(str, counts)), "", "trials started, each once")


def killed(rounds: int) -> None:
    """Check whether there are forty trials after the sweep was killed five times and resumed."""
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder, moment = Path(name), random.Random(number)  # noqa: S311 (random times, not secrets)
            arguments = command(STUDY, folder, 40, 2, "seconds=0.1")
            for _ in range(5):
                running = subprocess.Popen(
                    arguments,
                    cwd=folder,
                    stderr=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                )
                time.sleep(moment.uniform(2, 6))
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
            subprocess.run(arguments, cwd=folder, check=True, capture_output=True)
            trials = optuna.load_study(study_name=None, storage=open_storage(None, folder)).trials
        states = Counter(trial.state.name for trial in trials)
        numbers = [trial.number for trial in trials] == list(range(40))
        row("killed 5 times, K=2", STUDY, str(dict(states)), "", f"numbers 0 to 39: {numbers}")


def row(*cells: str) -> None:
    """Print a line of the table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Run the requested measurements."""
    parts: dict[str, Any] = {
        "exact": exact,
        "killed": killed,
        **{f"busy{seconds}": partial(busy, seconds=seconds) for seconds in (1, 3)},
        "overhead": overhead,
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(parts), action="append")
    arguments = parser.parse_args()
    row("measurement", "sweeper", "value", "ratio to official", "note")
    row("---", "---", "---", "---", "---")
    for name in arguments.only or parts:
        parts[name](arguments.rounds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["stub"]:
        del sys.argv[1]
        ConfigStore.instance().store(name="stub", node=NODE)
        stub()
    else:
        main()
