"""Tests of what happens to the trials of dead processes."""

import time
from dataclasses import asdict
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from flowersweep import process
from flowersweep.sweep.storage.kept import Unsaved, keep, path_of
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.attributes import FAIL_REASON, LOST, OWNER
from flowersweep.sweep.study.claim import GRACE_SECONDS, claim
from flowersweep.sweep.study.outcome import Outcome, State
from flowersweep.sweep.study.reclaim import MAX_LOST, Reclaimed, reclaim


@pytest.fixture(params=[None, "journal"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> optuna.Study:
    """A study in SQLite, and in a journal."""
    configured = request.param and f"journal:{tmp_path}/j"
    return optuna.create_study(storage=open_storage(configured, tmp_path), study_name="s")


def _lose(study: optuna.Study, **changes: str | float) -> optuna.Trial:
    """A trial whose owner is gone."""
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    claim(trial)
    start = process.identity()[process.START_TAG].rsplit(" ", 1)[0]
    trial.set_user_attr(OWNER, {**trial.user_attrs[OWNER], process.START_TAG: f"{start} 1", **changes})
    return trial


def test_waits_in_place(study: optuna.Study) -> None:
    """A dead process's trial waits under its number with its values; the trials around it stay as they are."""
    study.tell(study.ask(), 1.0)
    lost = _lose(study)
    claim(study.ask())
    returned = reclaim(study)
    again = study.ask()

    assert [(item.number, item.state) for item in returned] == [(1, TrialState.WAITING)]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "RUNNING", "RUNNING"]
    assert (again.number, again.suggest_float("x", 0, 1)) == (1, lost.params["x"])
    assert again.user_attrs[LOST] == 1


@pytest.mark.slow
def test_finds_it_from_another_process(study: optuna.Study, tmp_path: Path) -> None:
    """Who opens the storage anew sees and returns it too."""
    _lose(study)
    configured = None if (tmp_path / "optuna.db").exists() else f"journal:{tmp_path}/j"
    other = optuna.load_study(study_name="s", storage=open_storage(configured, tmp_path))

    assert [item.number for item in reclaim(other)] == [0]
    assert [trial.state.name for trial in study.trials] == ["WAITING"]


def test_fails_when_lost_too_often(study: optuna.Study) -> None:
    """A trial that takes its worker down again and again is failed with a reason."""
    states = []
    for _ in range(MAX_LOST + 1):
        _lose(study)
        states += [item.state.name for item in reclaim(study)]

    assert states == ["WAITING"] * MAX_LOST + ["FAIL"]
    assert study.trials[0].user_attrs[FAIL_REASON] == "Its worker died 4 times while running it."
    assert len(study.trials) == 1


@pytest.mark.parametrize(
    ("outcome", "value"),
    [
        (Outcome(State.COMPLETE, (0.75,)), 0.75),
        (Outcome(State.PRUNED, reason="It was pruned."), 0.5),
        (Outcome(State.FAIL, reason="ValueError: no", traceback="Traceback"), None),
    ],
    ids=lambda given: given.state.value if isinstance(given, Outcome) else "",
)
def test_ended_before_its_worker(
    study: optuna.Study, tmp_path: Path, outcome: Outcome, value: float | None
) -> None:
    """A trial whose end was kept on disk gets it, with all that it had reported, instead of running again."""
    folder = tmp_path / "untold"
    trial = _lose(study, untold=str(folder))
    keep(path_of(trial.user_attrs[OWNER]), asdict(outcome), Unsaved({2: 0.5}, {"epochs": 2}))
    (returned,) = reclaim(study)
    (found,) = study.trials

    assert returned.state is found.state is TrialState[outcome.state.value]
    assert (found.value, found.intermediate_values) == (value, {2: 0.5})
    assert (found.user_attrs["epochs"], found.user_attrs.get(FAIL_REASON)) == (
        2,
        outcome.reason if value is None else None,
    )
    assert LOST not in found.user_attrs
    assert not folder.exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"outcome": {"state": "WON"}}'])
def test_damaged_file_is_no_end(study: optuna.Study, tmp_path: Path, content: str) -> None:
    """A file that another program changed is as good as none: the trial waits."""
    trial = _lose(study, untold=str(tmp_path))
    path_of(trial.user_attrs[OWNER]).write_text(content)

    assert [item.state for item in reclaim(study)] == [TrialState.WAITING]


def test_other_machines_trial(study: optuna.Study) -> None:
    """A trial of another machine is left alone until its owner has been silent for long."""
    elsewhere = {process.HOST_TAG: "elsewhere", process.START_TAG: "another-boot pid:[4026531836] 1"}
    trial = _lose(study, **elsewhere)

    assert reclaim(study) == []
    trial.set_user_attr(OWNER, {**trial.user_attrs[OWNER], "since": time.time() - GRACE_SECONDS - 1})
    assert [item.state for item in reclaim(study)] == [TrialState.WAITING]


def test_trial_without_owner_is_no_loss(study: optuna.Study) -> None:
    """A trial that nobody had claimed yet waits again, and this does not count against it."""
    study.ask()

    assert reclaim(study) == [Reclaimed(0, TrialState.WAITING, "Its worker died; it waits to be run again.")]
    assert LOST not in study.trials[0].user_attrs


@pytest.mark.slow
def test_nothing_to_do(study: optuna.Study) -> None:
    """Trials that wait, are finished, or belong to this process are not touched."""
    study.enqueue_trial({"x": 0.5})
    study.tell(study.ask(), 1.0)
    study.enqueue_trial({"x": 0.25})
    claim(study.ask())

    assert reclaim(study) == []
