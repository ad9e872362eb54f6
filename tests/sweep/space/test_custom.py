"""A function of the program adds params to a trial."""

from typing import Any

import cloudpickle  # type: ignore[import-untyped] # it ships no types
import optuna
import pytest
from hydra.utils import execution_whitelist
from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.custom import Extension
from flowersweep.sweep.space.space import Space

CONFIG = OmegaConf.create({"width": 0.5})
IMPORTED = "flowersweep.sweep.space.search_space.as_params"


def near(config: DictConfig, trial: optuna.Trial) -> None:
    """Suggest b near a, and a new key; remember the fixed values that it saw."""
    low = trial.params["a"] - config.width
    trial.suggest_float("b", low, low + 2 * config.width)
    trial.suggest_categorical("+c", ["x y", None])
    trial.set_user_attr("seen", trial.user_attrs.get("d"))


def _space(*arguments: str) -> Space:
    return build_space(["a=1,2,3", "d=7", *arguments], extension=Extension(near, CONFIG))


@pytest.fixture
def trial() -> optuna.Trial:
    """A trial of a study in memory, of which some params are enqueued."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    study.enqueue_trial({"a": 2, "b": 1.75, "+c": "x y"})
    return study.ask()


def test_added_params_are_those_of_the_trial(trial: optuna.Trial) -> None:
    """They follow the searched ones, in the trial, its key and its overrides, and enqueued values are used."""
    space = _space()
    params = space.suggest(trial)
    assert params == {"a": 2, "b": 1.75, "+c": "x y"} == trial.params
    assert space.overrides(params) == ["a=2", "d=7", "b=1.75", "+c=x\\ y"]
    assert space.key(params) != space.key({**params, "b": 1.5})
    assert space.suggest(trial) == params  # a trial that is run again
    assert trial.user_attrs["seen"] == "7"
    assert "d" not in trial.user_attrs


def test_lists_as_choices() -> None:
    """Two points are told apart by the text of what was added, and a tuple is the list that it is in the storage."""
    key = _space().key
    assert key({"a": 1, "c": [1, 2]}) == key({"a": 1, "c": (1, 2)})
    assert len({key({"a": 1, "c": value}) for value in ([1, 2], [1], "[1, 2]", 1, 1.0, True, None)}) == 7


def lists(_config: DictConfig, trial: Any) -> None:
    """Suggest values that Hydra has and that are new to Optuna."""
    trial.suggest_categorical("list", [[1, [2, None]]])
    trial.suggest_categorical("tuple", [("a b", 3.5)])


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_lists_as_overrides() -> None:
    """A tuple is the list that it is in the storage, not a text."""
    space = build_space(["a=1,2"], extension=Extension(lists, CONFIG))
    params = space.suggest(optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask())
    assert space.overrides(params)[1:] == ["list=[1,[2,null]]", "tuple=[a\\ b,3.5]"]


def test_there_is_no_grid() -> None:
    """The values of other lists alone are not the points."""
    space = _space()
    assert not space.finite
    with pytest.raises(
        SweepError, match=r"custom_search_space, which has no grid; set hydra.sweeper.n_trials"
    ):
        _ = space.size
    assert space.check_point({"a": 2, "b": 1.75}) == []
    assert space.point({"a": 2, "b": 1.75}) == {"a": 2, "b": 1.75}
    assert space.check_point({"a": 9}) == ["a must be one of 1, 2, 3, but is 9."]


def test_a_fixed_value_is_not_suggested(trial: optuna.Trial) -> None:
    """The command line and the function must not disagree."""
    with pytest.raises(
        SweepError, match=r"suggests b, which has the fixed value 3; leave out one of the two"
    ):
        _space("b=3").suggest(trial)


def test_it_goes_to_workers() -> None:
    """What Hydra allowed can be sent to other processes."""
    with execution_whitelist([IMPORTED]):
        extension = Extension.named(IMPORTED, CONFIG)
    assert cloudpickle.loads(cloudpickle.dumps(extension)) == extension
