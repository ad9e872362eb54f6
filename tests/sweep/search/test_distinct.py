"""What was trained already is asked for again, and otherwise suggestions stay what they were."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from flowersweep.sweep.search.distinct import MAX_ASKED, DistinctSampler
from flowersweep.sweep.search.sampler import distinct_sampler, make_sampler
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.space import Space
from hydra_plugins.hydra_optuna_sweeper import config as official

SMALL = build_space(["a=1,2", "b=u,v,true", "c=range(0.0,0.3,0.1)"])
CONDITIONAL = build_space(["m=a,b", "k=1,2,3"], {}, {"k": {"m": "b"}})
ENDLESS = build_space(["x=interval(0,1)", "r=tag(log,interval(0.001,1))", "a=1,2"])
SAMPLERS = {
    "tpe": official.TPESamplerConfig(seed=1, n_startup_trials=3),
    "random": official.RandomSamplerConfig(seed=1),
    "nsgaii": official.NSGAIISamplerConfig(seed=1, population_size=4),
    "qmc": official.QMCSamplerConfig(seed=1),
}


def study_of(
    space: Space, sampler_for: Callable[[int], BaseSampler], count: int, study: optuna.Study | None = None
) -> optuna.Study:
    """Ask and tell one by one, as workers do."""
    study = study or optuna.create_study()
    for number in range(count):
        study.sampler = sampler_for(number)
        trial = study.ask()
        params = space.suggest(trial)
        study.tell(trial, float(len(str(params)) % 7))
    return study


def of(name: str, space: Space) -> Callable[[int], BaseSampler]:
    """One of the samplers, as workers get it."""
    return lambda number: distinct_sampler(
        OmegaConf.structured(SAMPLERS[name]), trial_number=number, space=space, n_directions=1, explicit=()
    )


@pytest.mark.parametrize("name", ["tpe", "random", "qmc"])
def test_where_nothing_coincides_nothing_changes(name: str) -> None:
    """In intervals suggestions are those of the sampler alone."""
    plain = study_of(
        ENDLESS,
        lambda number: make_sampler(OmegaConf.structured(SAMPLERS[name]), trial_number=number, space=ENDLESS),
        12,
    )
    distinct = study_of(ENDLESS, of(name, ENDLESS), 12)
    assert [trial.params for trial in distinct.trials] == [trial.params for trial in plain.trials]


@pytest.mark.parametrize("name", ["tpe", "random", "nsgaii"])
@pytest.mark.parametrize("space", [SMALL, CONDITIONAL], ids=["plain", "conditional"])
def test_a_small_space_is_gone_through(name: str, space: Space) -> None:
    """Most of the points are had before any comes twice, and more trials than points come to an end."""
    study = study_of(space, of(name, space), space.size + 5)
    keys = [space.key(trial.params) for trial in study.trials]
    first = next(index for index, key in enumerate(keys) if key in keys[:index])
    assert len(keys) == space.size + 5
    assert first >= 0.6 * space.size
    assert len(set(keys)) >= space.size - 2


def test_running_trials_count() -> None:
    """What another trial is being trained with is not suggested, if there is anything else."""
    study = optuna.create_study()
    running = []
    for number in range(6):
        study.sampler = of("random", CONDITIONAL)(number)
        running.append(CONDITIONAL.suggest(study.ask()))
        if number < 4:
            assert running[number] not in running[:number]
    assert len(running) == 6


def test_what_was_pruned_is_not_suggested_again() -> None:
    """A point that a pruner ended would end so again: other points come first, and then duplicates."""
    study, space = optuna.create_study(), build_space(["a=1,2,3,4"])
    had = []
    for number in range(12):
        study.sampler = of("random", space)(number)
        trial = study.ask()
        had.append(space.suggest(trial)["a"])
        study.tell(trial, *((None, TrialState.PRUNED) if had[-1] < 3 else (float(number),)))
    assert sorted(had[:4]) == [1, 2, 3, 4]
    assert set(had[4:]) <= {3, 4}


class Stubborn(BaseSampler):
    """Suggests the first value of everything, and counts how often."""

    def __init__(self) -> None:
        self.asked = 0

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """Nothing together."""
        del study, trial
        self.asked += 1
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """Nothing."""
        del study, trial, search_space
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        """The first value."""
        del study, trial, param_name
        return param_distribution.choices[0]


def test_asking_ends() -> None:
    """A sampler that knows one point only is asked a bounded number of times; of a space known whole, once."""
    stubborn, space = Stubborn(), build_space(["a=1,2"])
    study = study_of(space, lambda _: DistinctSampler(space, lambda _: stubborn), 2)
    assert [trial.params["a"] for trial in study.trials] == [1, 1]
    assert stubborn.asked == 1 + MAX_ASKED
    study.enqueue_trial({"a": 2})
    study_of(space, lambda _: DistinctSampler(space, lambda _: stubborn), 2, study)
    assert stubborn.asked == 1 + MAX_ASKED + 1


def test_a_sampler_that_has_had_all_points_does_not_end_the_sweep() -> None:
    """BruteForceSampler ends `Study.optimize` then, which is an error elsewhere; the result is stored as any other."""
    space = build_space(["a=1,2"])
    brute = OmegaConf.create({"_target_": "optuna.samplers.BruteForceSampler"})
    study = study_of(
        space,
        lambda number: distinct_sampler(brute, trial_number=number, space=space, n_directions=1, explicit=()),
        3,
    )
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
    assert {trial.params["a"] for trial in study.trials} == {1, 2}


@pytest.mark.parametrize("base", ["RandomSampler", "TPESampler"])
def test_what_a_sampler_fixes_stays_fixed(base: str) -> None:
    """Also if all points with these values are known, and further trials are duplicates."""
    space = build_space(["a=1,2,3", "b=1,2,3"])
    node = OmegaConf.create(
        {
            "_target_": "optuna.samplers.PartialFixedSampler",
            "fixed_params": {"a": 2},
            "base_sampler": {"_target_": f"optuna.samplers.{base}", "seed": 1},
        }
    )
    study = study_of(
        space,
        lambda number: distinct_sampler(node, trial_number=number, space=space, n_directions=1, explicit=()),
        6,
    )
    assert {trial.params["a"] for trial in study.trials} == {2}
    assert {trial.params["b"] for trial in study.trials[:3]} == {1, 2, 3}


@settings(max_examples=20)
@given(st.sampled_from([1, 2]))
def test_points_somebody_enqueued_keep_their_values(value: int) -> None:
    """What a point leaves out is filled in, what it says stays."""
    study = optuna.create_study()
    for _ in range(3):
        study.enqueue_trial({"a": value})
    study_of(SMALL, of("random", SMALL), 3, study)
    assert [trial.params["a"] for trial in study.trials] == [value] * 3
    assert len({SMALL.key(trial.params) for trial in study.trials}) == 3
