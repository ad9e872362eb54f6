"""A study, its trials and its report as objects of Python."""

import logging
from pathlib import Path

import optuna
import psutil
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

import flowersweep as fs
from flowersweep.errors import SweepError
from flowersweep.sweep.storage.storage import closing_storage, open_storage
from flowersweep.sweep.study.attributes import EPOCHS, FAIL_REASON, RUN_ID
from flowersweep.sweep.study.study import name_metrics


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A folder of results with the studies `old`, which is empty, and `flowers`, whose trials have all states."""
    storage = open_storage(None, tmp_path)
    optuna.create_study(storage=storage, study_name="old")
    study = optuna.create_study(storage=storage, study_name="flowers", direction="maximize")
    name_metrics(study, ["best/val_accuracy"])
    space = {"lr": FloatDistribution(0, 1), "aug": CategoricalDistribution(("none", "flip"))}
    for state, value, attrs in (
        (TrialState.COMPLETE, 0.5, {EPOCHS: 3, RUN_ID: "a"}),
        (TrialState.FAIL, None, {FAIL_REASON: "no <memory>"}),
        (TrialState.COMPLETE, 0.75, {EPOCHS: 4, RUN_ID: "b"}),
        (TrialState.PRUNED, 0.25, {}),
        (TrialState.WAITING, None, {}),
    ):
        study.add_trial(
            create_trial(
                state=state,
                value=value,
                params={"lr": 0.1, "aug": "flip"},
                distributions=dict(space),
                user_attrs=attrs,
            )
        )
    return tmp_path


def test_trials(directory: Path) -> None:
    """As on the leaderboard, then those that are not finished."""
    trials = fs.load_study("flowers", directory).trials()
    assert trials.index.tolist() == [2, 0, 1, 3, 4]
    assert trials["state"].tolist() == ["COMPLETE", "COMPLETE", "FAIL", "PRUNED", "WAITING"]
    assert trials["best/val_accuracy"].fillna(-1).tolist() == [0.75, 0.5, -1, 0.25, -1]
    assert trials["rank"].fillna(0).tolist() == [1, 1, 0, 0, 0]
    assert trials["epochs"].fillna(0).tolist() == [4, 3, 0, 0, 0]
    assert trials.loc[1, "reason"] == "no <memory>"
    assert trials.loc[2, ["lr", "aug", "run_id"]].tolist() == [0.1, "flip", "b"]


def test_columns_of_the_same_name(tmp_path: Path) -> None:
    """Searched keys and objectives take the place of no other column; objectives without names have those of Optuna's tables."""
    values = {"epochs": 50, "rank": 16, "values_1": 3}
    with closing_storage(open_storage(None, tmp_path)) as storage:
        study = optuna.create_study(storage=storage, study_name="two", directions=["minimize", "maximize"])
        study.add_trial(
            create_trial(
                values=[0.5, 11.25],
                params=values,
                distributions={key: IntDistribution(1, 100) for key in values},
                user_attrs={EPOCHS: 8},
            )
        )
    table = fs.load_study("two", tmp_path).trials()
    row = table.drop(columns=["state", "seconds", "run_id", "reason"]).loc[0].to_dict()
    assert row == {
        "rank": 1,
        "values_0": 0.5,
        "objective/values_1": 11.25,
        "searched/epochs": 50,
        "searched/rank": 16,
        "searched/values_1": 3,
        "epochs": 8,
    }
    assert "two: 1 complete" in fs.load_study("two", tmp_path)._repr_html_()


def test_a_notebook_shows_them(directory: Path) -> None:
    """With a title that counts them; texts of others are escaped."""
    shown = fs.load_study("flowers", directory)._repr_html_()
    assert "<b>flowers: 2 complete, 1 fail, 1 pruned, 1 waiting</b>" in shown
    assert "no &lt;memory&gt;" in shown
    assert "run_id" not in shown


@pytest.mark.slow
def test_a_study_without_trials(directory: Path) -> None:
    """It has an empty table with the usual columns."""
    study = fs.load_study("old", directory)
    assert study.trials().columns.tolist() == [
        "rank",
        "state",
        "value",
        "epochs",
        "seconds",
        "run_id",
        "reason",
    ]
    assert "<b>old: 0 trials</b>" in study._repr_html_()


def test_the_latest_study_is_the_default(directory: Path) -> None:
    """That in which a trial was started last."""
    assert fs.load_study(directory=directory).name == "flowers"


def test_unknown_studies(directory: Path, tmp_path: Path) -> None:
    """A sentence says what there is, and nothing is created."""
    with pytest.raises(
        SweepError, match=r"There is no study 'flower' in .* choose one of old, flowers. Did you mean"
    ):
        fs.load_study("flower", directory)
    with pytest.raises(SweepError, match=r"There are no studies in .*elsewhere"):
        fs.load_study("flowers", tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_changes_in_this_process(directory: Path) -> None:
    """Neither Optuna's level of messages nor any logger has another one afterwards."""
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    before = logging.getLogger("optuna").level, optuna.logging.get_verbosity()
    fs.load_study("flowers", directory).trials()
    assert (logging.getLogger("optuna").level, optuna.logging.get_verbosity()) == before
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_no_connection_stays_open(tmp_path: Path) -> None:
    """A notebook that looks at a study again and again does not use up the files that a process may open."""
    with closing_storage(open_storage(None, tmp_path)) as storage:
        optuna.create_study(storage=storage, study_name="flowers")
    fs.load_study("flowers", tmp_path).trials()

    assert not [file for file in psutil.Process().open_files() if file.path.startswith(str(tmp_path))]
