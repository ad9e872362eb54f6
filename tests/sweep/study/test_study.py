"""Tests of opening studies: resumed if they search the same, refused or renamed if not."""

from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage

from flowersweep.errors import SweepError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.definition import LEFT_OUT, definition_of
from flowersweep.sweep.study.reclaim import reclaim
from flowersweep.sweep.study.study import join_study, open_study

SPACE = build_space(["x=interval(0,1)", "seed=1"]).definition()
WIDER = build_space(["x=interval(0,2)", "seed=1"]).definition()


@pytest.fixture(params=[None, "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
    """An empty storage: SQLite, and a journal."""
    return open_storage(request.param and f"journal:{tmp_path}/j", tmp_path)


def test_same_definition_goes_on(storage: BaseStorage) -> None:
    """Opened again with the same definition, the study has its trials and direction."""
    study = open_study(storage, "s", SPACE, ["maximize"])
    study.tell(study.ask(), 0.5)
    again = open_study(storage, "s", SPACE, ["maximize"])

    assert [trial.value for trial in again.trials] == [0.5]
    assert again.direction.name == "MAXIMIZE"


def test_other_definition_is_refused_with_the_difference(storage: BaseStorage) -> None:
    """The message says what changed, from what to what, and the two remedies; the study is not touched."""
    study = open_study(storage, "s", SPACE, ["maximize"])
    study.tell(study.ask(), 0.5)
    with pytest.raises(SweepError) as caught:
        open_study(storage, "s", WIDER, ["minimize"])

    lines = str(caught.value).splitlines()
    assert lines[0] == "The study 's' is a different search, so this one cannot continue it:"
    assert lines[1].startswith("  x was searched as interval(")
    assert lines[2] == "  The direction was maximize, and is now minimize."
    assert "hydra.sweeper.study_name=NAME" in lines[3]
    with pytest.raises(SweepError) as caught:
        open_study(storage, "s", WIDER, ["minimize"], "join")
    first, *listed, last = str(caught.value).splitlines()
    assert first.startswith("This machine cannot join the study 's', because")
    assert listed == lines[1:3]
    assert "data.dir=PATH" in last
    assert len(open_study(storage, "s", SPACE, ["maximize"]).trials) == 1


def test_new_takes_the_next_free_name_and_finds_it_again(storage: BaseStorage) -> None:
    """With on_mismatch=new another search gets a study NAME-2, and goes on with it the next time."""
    open_study(storage, "s", SPACE, ["maximize"])
    first = open_study(storage, "s", WIDER, ["maximize"], on_mismatch="new")
    first.tell(first.ask(), 0.5)
    again = open_study(storage, "s", WIDER, ["maximize"], on_mismatch="new")
    third = open_study(storage, "s", SPACE, ["minimize"], on_mismatch="new")

    assert [first.study_name, again.study_name, third.study_name] == ["s-2", "s-2", "s-3"]
    assert len(again.trials) == 1


def test_from_before_a_group_was_a_part_of_the_definition(storage: BaseStorage) -> None:
    """Its command goes on with it, and from then on it is bound to the values of that group."""
    space = build_space(["x=interval(0,1)", "cluster.k=5"])
    complete = definition_of(space, OmegaConf.create({"cluster": {"k": 5}}))
    former = {**complete, "fixed": {}, "config": {"hydra.sweeper.n_repeats": 1}}
    del former[LEFT_OUT]
    study = open_study(storage, "s", former, ["maximize"])
    study.tell(study.ask(), 0.5)

    assert len(open_study(storage, "s", complete, ["maximize"]).trials) == 1
    changed = {**complete, "fixed": {"cluster.k": "10"}}
    with pytest.raises(SweepError, match=r"  cluster\.k was 5, and is now 10\."):
        open_study(storage, "s", changed, ["maximize"])
    assert open_study(storage, "s", changed, ["maximize"], "new").study_name == "s-2"


def test_study_of_another_program(storage: BaseStorage) -> None:
    """A study that has trials but no definition is refused; one without trials is taken."""
    other = optuna.create_study(storage=storage, study_name="s")
    assert open_study(storage, "s", SPACE, ["minimize"]).study_name == "s"
    other = optuna.create_study(storage=storage, study_name="t")
    other.tell(other.ask(), 1.0)
    with pytest.raises(SweepError, match="created by another program"):
        open_study(storage, "t", SPACE, ["minimize"])


def _elsewhere(storage: BaseStorage, name: str) -> optuna.Study:
    """A study with a complete trial and one whose process was killed before it had its values, as hydra-optuna-sweeper stores them."""
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    trial = study.ask({"x": FloatDistribution(0, 1)})
    trial.set_user_attr("seed", "1")
    study.tell(trial, 0.5)
    study.ask()
    return study


def test_a_study_of_hydra_optuna_sweeper_goes_on(storage: BaseStorage) -> None:
    """If its trials have the searched keys, from the same values, and the fixed ones; it is then a study like others."""
    _elsewhere(storage, "s")
    found = open_study(storage, "s", SPACE, ["maximize"], dimensions={"x": FloatDistribution(0, 1)})

    assert [trial.value for trial in found.trials] == [0.5, None]
    assert [one.state.name for one in reclaim(found)] == ["WAITING"]
    with pytest.raises(SweepError, match="x was searched as"):
        open_study(storage, "s", WIDER, ["maximize"], dimensions={"x": FloatDistribution(0, 2)})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x=interval(0,2)", "seed=1"], r"trial 0 had x from .*high=1.0.*, which is now .*high=2.0"),
        (["y=interval(0,1)", "seed=1"], "trial 0 had the key x, which is not searched now"),
        (["x=interval(0,1)", "seed=1", "y=1,2"], "trial 0 had no key y, which is searched now"),
        (["x=interval(0,1)", "seed=2"], "trial 0 had seed=1, which is now 2"),
    ],
)
def test_another_search_than_that_of_hydra_optuna_sweeper(
    storage: BaseStorage, arguments: list[str], said: str
) -> None:
    """The first difference is named, and the study is left as it was."""
    study = _elsewhere(storage, "s")
    space = build_space(arguments)
    with pytest.raises(SweepError, match=said):
        open_study(storage, "s", space.definition(), ["maximize"], dimensions=space.dimensions)
    with pytest.raises(SweepError, match="The direction was maximize, and is now minimize"):
        open_study(storage, "s", SPACE, ["minimize"], dimensions=build_space(["x=interval(0,1)"]).dimensions)
    assert study.user_attrs == {}


def test_join_needs_the_study(storage: BaseStorage) -> None:
    """A worker can only join a study that was opened before."""
    with pytest.raises(SweepError, match="no study 's' in the storage"):
        join_study(storage, "s")
    open_study(storage, "s", SPACE, ["minimize"])

    assert join_study(storage, "s").study_name == "s"
