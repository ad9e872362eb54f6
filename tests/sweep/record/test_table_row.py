"""Tests of a study's row and course in MLflow."""

import optuna
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from flowersweep.sweep.record import table_row
from flowersweep.sweep.settings import Plan
from flowersweep.sweep.space.build_space import build_space


def trial(value: float | None, state: TrialState = TrialState.COMPLETE, **attributes: object) -> FrozenTrial:
    """A trial that has ended."""
    return create_trial(
        value=value,
        state=state,
        params={"aug": "none"},
        distributions={"aug": CategoricalDistribution(("none",))},
        user_attrs=attributes,
    )


def test_the_course_has_the_best_value_so_far() -> None:
    """A step for each trial, failed ones included; earlier steps stay the same when more trials end."""
    study = optuna.create_study(direction="minimize")
    study.add_trial(trial(None, TrialState.FAIL))
    study.add_trial(trial(0.5))
    study.add_trial(trial(0.75))
    before = table_row.course(study)
    assert [step["trials/finished"] for step in before] == [1, 2, 3]
    assert "best/value" not in before[0]
    assert [(step["trials/value"], step["best/value"], step["best/trial"]) for step in before[1:]] == [
        (0.5, 0.5, 1),
        (0.75, 0.5, 1),
    ]
    study.add_trial(trial(0.25, repeats=[0.125, 0.375]))
    *same, last = table_row.course(study)
    assert same == before
    assert (last["best/value"], last["mean"], last["sd"], last["n"]) == (0.25, 0.25, 0.18, 2)


def test_several_objectives_have_no_best_value() -> None:
    """Only the number of finished trials is a course then."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trial(create_trial(values=[1.0, 2.0], params={}, distributions={}, state=TrialState.COMPLETE))
    assert table_row.course(study) == [{"trials/finished": 1.0}]


def test_ranked_trials_are_those_that_were_trained() -> None:
    """The best one first, the earlier one of equals; a copied result is not another training."""
    study = optuna.create_study(direction="maximize")
    for value in (0.25, 0.75, 0.75):
        study.add_trial(trial(value))
    study.add_trial(trial(0.75, taken_from=1))
    study.add_trial(trial(0.9, TrialState.PRUNED))
    assert [one.number for one in table_row.ranked(study)] == [1, 2, 0]


def test_params_of_the_row() -> None:
    """What is searched, how, how long, and on which data."""
    config = OmegaConf.create({"hydra": {"sweeper": {"sampler": {"_target_": "optuna.samplers.TPESampler"}}}})
    space = build_space(["optimizer.learning_rate=interval(0,1)", "trainer.epochs=3"])
    found = table_row.params(config, Plan(is_grid=False, n_trials=4, enqueue=()), space, "flowersweep/demo")
    assert found == {
        "space": f"optimizer.learning_rate: {space.definition()['searched']['optimizer.learning_rate']}",
        "sampler": "TPESampler",
        "budget": "4 trials",
        "data": "demo",
    }
