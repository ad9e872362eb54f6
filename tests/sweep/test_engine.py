"""Tests of whole sweeps with several workers, as real processes that are killed at any moment."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest

from flowersweep import process
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.budget import Stop

pytestmark = pytest.mark.slow

Storage = pytest.mark.parametrize("storage", [None, "journal:studies"], ids=["sqlite", "journal"])


class Sweeps:
    """Runs sweeps in processes, and reads their study."""

    def __init__(self, stub: Any, folder: Path) -> None:
        self.stub = stub
        self.folder = folder

    def start(self, objective: str, **changes: Any) -> subprocess.Popen[bytes]:
        """Start a sweep in a process group of its own."""
        settings = self.stub.Settings(str(self.folder), objective, **changes)
        return subprocess.Popen(self.stub.command(settings), stdout=subprocess.PIPE, start_new_session=True)

    def run(self, objective: str, **changes: Any) -> list[dict[str, Any]]:
        """Run a sweep; return what its workers report."""
        return self.reports(self.start(objective, **changes))

    def reports(self, running: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
        """What the workers of a started sweep report."""
        output, _ = running.communicate(timeout=240)
        assert running.returncode == 0
        reports: list[dict[str, Any]] = json.loads(output)
        assert all(reports)
        return reports

    def trials(self, storage: str | None = None) -> list[optuna.trial.FrozenTrial]:
        """All trials of the study."""
        return optuna.load_study(study_name="stub", storage=open_storage(storage, self.folder)).trials

    def beginnings(self) -> list[int]:
        """The number of every trial that was begun, as often as it was."""
        return [int(line.split()[0]) for line in self._marks()]

    def training_processes(self) -> set[int]:
        """The process ids of all trainings that there ever were."""
        return {int(line.split()[1]) for line in self._marks()}

    def _marks(self) -> list[str]:
        marks = self.folder / "marks"
        return marks.read_text().splitlines() if marks.exists() else []


@pytest.fixture
def sweeps(stub: Any, tmp_path: Path) -> Sweeps:
    """Sweeps in a folder of their own."""
    return Sweeps(stub, tmp_path)


def _lives(pid: int) -> bool:
    return not (process.start_of(pid) or "ended").endswith("ended")


@pytest.mark.parametrize("storage", ["journal:studies"])  # with SQLite it is the launcher's test
def test_killed_and_resumed_three_times(sweeps: Sweeps, storage: str | None) -> None:
    """After three SIGKILLs of everything among the trials, all 40 finish; none is lost, doubled or left running."""
    moment = random.Random(7)  # noqa: S311 - it picks moments, not secrets
    for _ in range(3):
        begun = len(sweeps.beginnings())
        running = sweeps.start("leaving_marks", workers=2, storage=storage, seconds=0.05)
        until = time.monotonic() + 120
        # A few trials at least: one that is lost at every start fails in the end, as it may be what kills.
        while len(sweeps.beginnings()) < begun + 4 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(moment.uniform(0.0, 0.2))
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    until = time.monotonic() + 60
    while any(map(_lives, sweeps.training_processes())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(_lives, sweeps.training_processes()))
    sweeps.run("leaving_marks", workers=2, storage=storage, seconds=0.05)
    trials = sweeps.trials(storage)

    assert [trial.number for trial in trials] == list(range(40))
    assert Counter(trial.state.name for trial in trials) == {"COMPLETE": 40}
    assert len({trial.params["x"] for trial in trials}) == 40


@Storage
def test_two_sweeps_at_once_share_the_budget(sweeps: Sweeps, storage: str | None) -> None:
    """Two sweeps on one study, started together, run 24 trials between them and not one more."""
    both = [sweeps.start("leaving_marks", n_trials=24, storage=storage) for _ in range(2)]
    done = [sweeps.reports(running)[0]["counts"]["COMPLETE"] for running in both]

    assert [trial.number for trial in sweeps.trials(storage)] == list(range(24))
    assert sum(done) == 24
    assert sorted(sweeps.beginnings()) == list(range(24))


def test_two_workers_stop_when_their_disk_is_full(sweeps: Sweeps) -> None:
    """Each worker finishes its trial or gives it back; none fails, and the same sweep runs what is missing."""
    (sweeps.folder / "trouble").write_text("disk")
    reports = sweeps.run("in_trouble", workers=2, n_trials=8, seconds=0.2)
    states = Counter(trial.state.name for trial in sweeps.trials())

    assert [report["stop"] for report in reports] == [Stop.INFRASTRUCTURE] * 2
    assert states["COMPLETE"] == 1
    assert 1 <= states["WAITING"] <= 2
    assert states.total() == 1 + states["WAITING"]
    (sweeps.folder / "trouble").unlink()
    sweeps.run("in_trouble", workers=2, n_trials=8)
    assert [trial.state.name for trial in sweeps.trials()] == ["COMPLETE"] * 8


def test_grid_with_three_workers(sweeps: Sweeps) -> None:
    """Three workers walk a grid of 12 points; point k is trial k."""
    search = ["x=1,2,3", "+a=u,v", "+b=true,false"]
    sweeps.run("leaving_marks", workers=3, n_trials=None, search=search)
    trials = sweeps.trials()

    assert [trial.params for trial in trials] == list(build_space(search).grid())
    assert {trial.state.name for trial in trials} == {"COMPLETE"}


def test_long_trial_delays_nobody(sweeps: Sweeps) -> None:
    """While one worker has a trial that does not end, the other one runs all the others, one after another."""
    n_others = sweeps.stub.LAST_TO_END_WAITS_FOR
    reports = sweeps.run("last_to_end", workers=2, n_trials=1 + n_others)
    trials = sweeps.trials()

    assert [trial.state.name for trial in trials] == ["COMPLETE"] * (1 + n_others)
    assert sorted(report["counts"]["COMPLETE"] for report in reports) == [1, n_others]
