"""The commands about running studies: what they show, stop and refuse."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest

from flowersweep import process
from flowersweep.commands.study import status, stop
from flowersweep.sweep.status import running_trials
from flowersweep.sweep.storage.stop_message import clear_stop, latest_stop
from flowersweep.sweep.storage.storage import closing_storage, open_storage
from flowersweep.sweep.study.attributes import COMMAND, HEARTBEAT, N_STEPS, OWNER
from flowersweep.sweep.study.claim import claim, new_claim

ELSEWHERE = {process.HOST_TAG: "gpu", process.MACHINE_TAG: "", process.PID_TAG: "70"}
Create = Callable[[str], optuna.Study]


@pytest.fixture
def create(tmp_path: Path) -> Iterator[Create]:
    """Create a study in the default storage of a folder of results."""
    with closing_storage(open_storage(None, tmp_path)) as storage:
        yield lambda name: optuna.create_study(study_name=name, storage=storage)


def test_machines_of_the_same_name_are_distinguished(
    create: Create, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each running trial has its machine, process, epoch and last sign of life; the others are counted."""
    study = create("petals")
    for boot, ago in (("one", 5), ("two", 100), ("two", 1200)):
        trial = study.ask()
        trial.set_user_attr(N_STEPS, 30)
        trial.report(0.5, 7)
        claim(trial, {**new_claim(), **ELSEWHERE, process.START_TAG: f"{boot} pid:[9] 1", "since": 0})
        trial.set_user_attr(HEARTBEAT, time.time() - ago)
    study.tell(study.ask(), 1.0)
    study.enqueue_trial({"x": 1})

    assert status.main(["petals", f"tracking.dir={tmp_path}"]) == 0
    title, _, _, *rows = capsys.readouterr().out.splitlines()
    assert title == "Study petals: 1 complete, 3 running, 1 waiting"
    cells = [[cell.strip() for cell in row.split("│")] for row in rows]
    assert len({cell[0] for cell in cells}) == 2
    assert all(re.fullmatch(r"gpu \([0-9a-f]{6}\)", cell[0]) for cell in cells)
    assert sorted(cell[1:4] for cell in cells) == [["70", str(number), "7/30"] for number in range(3)]
    signs = sorted((cell[4] for cell in cells), key=len)
    assert re.fullmatch(r"\d s ago", signs[0])
    assert re.fullmatch(r"10\d s ago", signs[1])
    assert signs[2] == "dead; another worker takes the trial"


def test_steps_of_another_program(create: Create) -> None:
    """They are shown without their number, which only the program knows."""
    study = create("words")
    claim(study.ask(), new_claim())
    (running,) = running_trials(study, time.time())
    assert running.step == "0"


def test_stop_waits_for_the_workers(
    create: Create, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message stays until the sweep is started again; trials of dead workers wait, and silent ones are named."""
    monkeypatch.setattr("flowersweep.sweep.status.WAIT_SECONDS", 0.1)
    study = create("petals")
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        gone = {**new_claim(), process.PID_TAG: str(dead.pid)}
    claim(study.ask(), gone)
    where = f"tracking.dir={tmp_path}"
    assert stop.main([where]) == 0
    told = capsys.readouterr().out
    assert "Study petals: 1 waiting" in told
    assert "stopped by flowersweep stop on " in told

    message = latest_stop(study.user_attrs)
    assert message is not None
    assert message.holds
    clear_stop(study)
    assert status.main([where]) == 0
    assert "stopped by" not in capsys.readouterr().out

    study.ask().set_user_attr(OWNER, {**new_claim(), **ELSEWHERE, process.START_TAG: "one pid:[9] 1"})
    assert stop.main([where]) == 1
    assert "1 worker does not respond" in capsys.readouterr().err


def test_a_study_without_workers(create: Create, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether it can go on or is finished is said; a finished one is not stopped."""
    study, where = create("petals"), f"tracking.dir={tmp_path}"
    study.set_user_attr(COMMAND, {"trials": 2})
    study.tell(study.ask(), 1.0)
    study.ask()  # its worker died before it could say so
    assert status.main([where]) == 0
    assert "no worker is running a trial; if the sweep was stopped, its command" in capsys.readouterr().out
    assert stop.main([where]) == 0
    assert "stopped by flowersweep stop on" in capsys.readouterr().out

    stopped = latest_stop(study.user_attrs)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    for command in (status, stop):
        assert command.main([where]) == 0
        told = capsys.readouterr().out
        assert "finished: all its trials are done" in told
        assert "stopped by" not in told
    assert latest_stop(study.user_attrs) == stopped


def test_what_is_refused(create: Create, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No storage, no studies, several of them, an unknown name: one sentence each, and nothing is created."""
    other = tmp_path / "other"
    assert stop.main([f"tracking.dir={other}"]) == 2
    assert "There are no studies in" in capsys.readouterr().err
    assert stop.main([f"storage=journal:{other}/a.log"]) == 2
    assert "There are no studies in" in capsys.readouterr().err
    assert not other.exists()
    assert status.main([f"tracking.dir={tmp_path}"]) == 2
    assert "There are no studies in the storage" in capsys.readouterr().err
    create("petals")
    create("leaves")
    assert status.main([f"tracking.dir={tmp_path}"]) == 2
    assert "choose one with study=NAME: leaves, petals." in capsys.readouterr().err
    assert status.main(["study=petal", f"tracking.dir={tmp_path}"]) == 2
    assert "Did you mean petals?" in capsys.readouterr().err
