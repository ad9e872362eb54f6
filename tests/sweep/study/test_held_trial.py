"""A running trial in the hands of its worker."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from flowersweep.sweep.storage.kept import FOLDER, keep
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study import held_trial
from flowersweep.sweep.study.attributes import OWNER
from flowersweep.sweep.study.claim import claim, new_claim
from flowersweep.sweep.study.held_trial import HeldTrial
from flowersweep.sweep.study.outcome import Outcome, State
from flowersweep.sweep.study.reclaim import _reclaimed


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """A study in SQLite."""
    return optuna.create_study(storage=open_storage(None, tmp_path), study_name="s")


@pytest.fixture
def trial(study: optuna.Study, tmp_path: Path) -> optuna.Trial:
    """A trial of this process, which keeps its end on disk."""
    trial = study.ask()
    claim(trial, new_claim(tmp_path / FOLDER))
    return trial


@pytest.mark.parametrize("state", [State.COMPLETE, State.FAIL])
def test_a_result_that_somebody_else_stored_is_not_lost(
    state: State,
    study: optuna.Study,
    trial: optuna.Trial,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A worker that hangs after it kept its result on disk counts as dead; whoever finds the result tells the study."""
    held = HeldTrial(study, trial)
    outcome = Outcome(state, (0.75,) if state is State.COMPLETE else ())

    def keep_and_hang(*given: object) -> None:
        keep(*given)  # type: ignore[arg-type] # those of the function
        assert _reclaimed(study, study.trials[0]).state.name == state.value

    monkeypatch.setattr(held_trial, "keep", keep_and_hang)
    assert held.end(outcome, "sweep")
    assert not held.is_lost
    assert not [record for record in caplog.records if record.name == held_trial.__name__]
    assert study.trials[0].values == ([0.75] if state is State.COMPLETE else None)


def test_another_result_of_the_same_trial_stays(
    study: optuna.Study, trial: optuna.Trial, caplog: pytest.LogCaptureFixture
) -> None:
    """A trial that was given up while its worker was paused has the end that the study has."""
    held = HeldTrial(study, trial)
    study.tell(trial.number, state=TrialState.FAIL)

    assert trial.user_attrs[OWNER] == study.trials[0].user_attrs[OWNER]
    assert not held.end(Outcome(State.COMPLETE, (0.75,)), "sweep")
    assert caplog.messages == ["Trial 0 was taken over by another worker; its result here is discarded."]
    assert study.trials[0].state is TrialState.FAIL
