"""What the page says of searched keys is what Optuna says of the study."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf

from flowersweep.report.page import page
from flowersweep.report.reading import read_study
from flowersweep.report.statistics.ranking import ranking
from flowersweep.report.statistics.searched import importances, is_logarithmic, unknown
from flowersweep.sweep.record.study_run import StudyRun
from flowersweep.sweep.settings import Plan
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.attributes import RUN_ID
from flowersweep.sweep.study.study import name_metrics
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store.store import Store
from pages import Page

# Choices of numbers, a wide range that is searched evenly, a narrow one that is searched by powers, and the seed.
SPACE = build_space(
    [
        "optimizer.learning_rate=tag(log,interval(1e-3,1e-2))",
        "model.dropout=choice(0.0,0.02,0.04)",
        "trainer.batch_size=choice(60,64,68)",
        "model.dense_units=interval(1,4096)",
        "seed=range(0,3)",
    ]
)
N_TRIALS = 14


def value_of(params: dict[str, Any]) -> float:
    """A loss that hangs on the learning rate, and a little on the others."""
    rate = abs(params["optimizer.learning_rate"] - 4e-3) * 100
    return float(rate + params["model.dropout"] + params["model.dense_units"] / 1e6 + params["seed"] / 1e3)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> optuna.Study:
    """A study of Optuna's own, with trials that came to nothing among the others."""
    storage = open_storage(None, tmp_path_factory.mktemp("study"))
    made = optuna.create_study(
        storage=storage, study_name="asked", sampler=optuna.samplers.TPESampler(seed=3, n_startup_trials=5)
    )
    name_metrics(made, ["best/val_loss"])
    for number in range(N_TRIALS):
        trial = made.ask()
        params = {name: one.suggest(trial) for name, one in SPACE.searched.items()}
        trial.set_user_attr(RUN_ID, f"run{number}")
        if number == 2:
            made.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            trial.report(value_of(params), 0)
            made.tell(trial, value_of(params))
    return made


@pytest.fixture(scope="module")
def kept(store: Store, study: optuna.Study) -> str:
    """The id of the study's run in MLflow, as the sweep writes it."""
    config = OmegaConf.create(
        {"tracking": {"experiment": "asked"}, "hydra": {"sweeper": {}, "overrides": {"task": []}}}
    )
    with StudyRun.open(
        config, study, Plan(is_grid=False, n_trials=N_TRIALS, enqueue=()), SPACE, store
    ) as study_run:
        for trial in study.trials:
            tags = {"study": "asked", "kind": "trial", "trial": trial.number, "attempt": 0}
            run = MLflowTracker.start(store, "asked", "t", parent_run_id=study_run.run_id, tags=tags)
            if trial.values:
                run.metrics({"best/val_loss": trial.values[0]})
            run.params({"seed": trial.params["seed"]})
            run.end(RunStatus.FINISHED if trial.values else RunStatus.FAILED)
        study_run.finish(draw=False)
    assert study_run.run_id is not None
    return study_run.run_id


@pytest.mark.slow
def test_importances_are_optunas(store: Store, study: optuna.Study, kept: str) -> None:
    """To the last digit those of the very study, and so is the chart; the seed is a key like any other."""
    read = read_study(store, find_study(store, "asked"))
    assert read.run_id == kept
    expected = optuna.importance.get_param_importances(study)
    assert importances(read) == expected
    assert list(importances(read)) == list(expected)
    assert set(expected) == set(SPACE.searched)
    chart = Page(page(read, ranking(read), None)).charts()["importance"]
    bars = chart["data"][0]
    names = [text.partition(": ")[0] for text in bars["text"]]
    assert dict(zip(names, bars["x"], strict=True)) == expected


@pytest.mark.slow
def test_axes_are_those_of_the_search(store: Store, kept: str) -> None:
    """Logarithmic where that was searched, however narrow, and never with prefixes; choices of numbers are choices, in order."""
    read = read_study(store, find_study(store, "asked"))
    assert read.run_id == kept
    axes = {
        axis["label"]: axis
        for axis in Page(page(read, ranking(read), None)).charts()["parallel"]["data"][0]["dimensions"]
    }
    assert set(axes["learning_rate"]["ticktext"]) <= {"0.001", "0.002", "0.005", "0.01"}
    assert len(axes["learning_rate"]["ticktext"]) >= 2
    assert axes["dropout"]["ticktext"] == ["0", "0.02", "0.04"]
    assert "ticktext" not in axes["dense_units"]
    assert axes["dense_units"]["tickformat"] == axes["val_loss"]["tickformat"] == ".4~g"


@pytest.mark.slow
def test_from_before_they_were_recorded(store: Store, kept: str) -> None:
    """Without the distributions nothing is guessed: there is no chart, and the page says why and what helps."""
    read = read_study(store, find_study(store, "asked"))
    old = replace(read, distributions={})
    assert importances(old) == {}
    assert unknown(read) == ""
    html = Page(page(old, ranking(old), None))
    assert "importance" not in html.charts()
    assert "Run the command of its sweep again to record them" in html.by_id("unknown").text
    assert client(store.uri).get_run(kept).info.status == "FINISHED"


def test_unknown_spans() -> None:
    """Where the distribution is not known, positive numbers over two powers of ten are seen by their powers."""
    assert is_logarithmic([0.001, 0.1])
    assert not is_logarithmic([0.0, 1.0])
    assert not is_logarithmic([0.001, 1.0], optuna.distributions.FloatDistribution(0.001, 1))
