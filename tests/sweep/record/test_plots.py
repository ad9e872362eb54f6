"""A study's plots: what there is enough for is drawn, what there is not is left out."""

import warnings
from collections.abc import Callable

import optuna
import pytest
from optuna import Study, Trial
from optuna.study import StudyDirection

from flowersweep.sweep.record import plots


@pytest.fixture(autouse=True)
def _silent() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def studied(
    objective: Callable[[Trial], float | tuple[float, float]], n_trials: int, *directions: str
) -> Study:
    """A study of random trials."""
    study = optuna.create_study(
        study_name="<s>",
        directions=[StudyDirection[name] for name in directions or ("MAXIMIZE",)],
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    study.optimize(objective, n_trials=n_trials)
    return study


def mixed(trial: Trial) -> float:
    """A number, a choice, and a key that only one of the choices has."""
    value = trial.suggest_float("optimizer.learning_rate", 1e-5, 1, log=True)
    if trial.suggest_categorical("optimizer", ["adam", "sgd"]) == "sgd":
        value += trial.suggest_float("optimizer.momentum", 0, 1)
    return value


def test_every_plot(tmp_path: object) -> None:
    """A study of conditional keys gets all five, as a page that loads nothing and as pictures that can be saved."""
    study = studied(mixed, 8)
    page = plots.page(study)
    assert page is not None
    assert page.count("plotly-graph-div") >= 4
    assert "<script src=" not in page
    assert "<title>&lt;s&gt;</title>" in page
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = []
        for name, figure in plots.pictures(study):
            figure.savefig(f"{tmp_path}/{name}.png")
            names.append(name)
    assert {"optimization_history", "slice", "parallel_coordinate", "timeline"} <= set(names)


def test_pareto_front() -> None:
    """With two objectives there is their front."""
    study = studied(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), 3, "MAXIMIZE", "MINIMIZE")
    assert [name for name, _ in plots.pictures(study)] == ["pareto_front", "timeline"]


def test_too_little() -> None:
    """One trial is nothing to compare."""
    study = studied(mixed, 1)
    assert plots.page(study) is None
    assert list(plots.pictures(study)) == []


def test_one_value_of_a_key() -> None:
    """A key with one value has no importance; the other plots are drawn all the same."""
    study = studied(lambda trial: float(trial.suggest_categorical("x", [1])), 3)
    assert "optimization_history" in [name for name, _ in plots.pictures(study)]


def test_one_parameter() -> None:
    """A single parameter has no importance to compare; with two of them it has."""
    one = studied(lambda trial: trial.suggest_float("x", 0, 1), 3)
    two = studied(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 2), 3)
    assert "param_importances" not in [name for name, _ in plots.pictures(one)]
    assert "param_importances" in [name for name, _ in plots.pictures(two)]
