"""Two definitions of studies are equal, or it is said what changed."""

import json
import math
from enum import Enum
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.study.definition import definition_of, derived_name, differences

BASE = ["model=cnn,ft", "lr=tag(log,interval(1e-4,1))", "epochs=10"]


@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [
        (BASE, []),
        ([*BASE[1:], BASE[0]], ["The searched keys were in the order model, lr, and are now lr, model."]),
        (["epochs=10", *BASE[:2]], []),
        ([BASE[0], BASE[2]], ["lr is no longer searched; it was tag(log,interval(0.0001,1.0))."]),
        ([*BASE, "b=1,2"], ["b is now searched, as choice(1,2); it was not."]),
        (
            ["model=cnn,ft,frozen", *BASE[1:]],
            ["model was searched as choice(cnn,ft), and is now choice(cnn,ft,frozen)."],
        ),
        ([*BASE[:2], "epochs=20"], ["epochs was 10, and is now 20."]),
        (BASE[:2], ["epochs is no longer given; it was epochs=10."]),
        ([*BASE, "s=1"], ["s=1 is now given; it was not."]),
        ([*BASE, "~s"], ["~s is now given; it was not."]),
        (
            ["model=ft", *BASE[1:]],
            ["model is no longer searched; it was choice(cnn,ft).", "model=ft is now given; it was not."],
        ),
    ],
)
def test_differences(arguments: list[str], sentences: list[str]) -> None:
    """Each change is one sentence, also after the old definition went through JSON."""
    old = json.loads(json.dumps(build_space(BASE).definition()))
    assert differences(old, build_space(arguments).definition()) == sentences


def test_what_starts_the_workers_is_no_part_of_it() -> None:
    """The same study goes on with other workers."""
    config = OmegaConf.create({"epochs": 10})
    here, there = (definition_of(build_space([*BASE, *more]), config) for more in ([], ["cluster=slurm"]))
    assert differences(here, there) == []


class _Colour(Enum):
    RED = 1
    BLUE = 2


def test_keys_of_a_structured_configuration() -> None:
    """Members of an Enum and bytes are keys in OmegaConf, and have texts in a definition; changes are told by them."""
    one, other = ({_Colour.RED: value, b"raw": 2, 1: {_Colour.BLUE: [{b"in": 3}]}} for value in (1, 5))
    old, new = (definition_of(build_space(BASE), OmegaConf.create({"by": node})) for node in (one, other))
    assert differences(json.loads(json.dumps(old)), old) == []
    assert differences(old, new) == ["by._Colour.RED was 1, and is now 5."]


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        ({"cluster": {"k": 5}}, "cluster.k=10", "cluster.k=10 is now given; it was not."),
        ({"cluster": 5}, "cluster=10", "cluster was 5, and is now 10."),
        ({"bank": {"size": 5}}, "bank.size=10", "bank.size=10 is now given; it was not."),
        ({"paths": {"data": "A"}}, "paths.data=B", "paths.data=B is now given; it was not."),
        (
            {"tracking": {"dir": "A", "window": 3}},
            "tracking.window=4",
            "tracking.window=4 is now given; it was not.",
        ),
        ({"tracking": {"dir": "A"}}, "tracking.dir=B", None),
        ({}, "+tracking.log_figures=false", None),
        ({}, "+cluster.k=10", "+cluster.k=10 is now given; it was not."),
    ],
)
def test_of_another_program(config: dict[str, Any], change: str, message: str | None) -> None:
    """Whatever its groups are called, they can change a result, unless flowersweep itself reads them."""
    before = OmegaConf.create(config)
    after = OmegaConf.merge(before, OmegaConf.from_dotlist([change.lstrip("+")]))
    assert isinstance(after, DictConfig)
    old, new = definition_of(build_space(BASE), before), definition_of(build_space([*BASE, change]), after)
    assert differences(json.loads(json.dumps(old)), new) == ([] if message is None else [message])


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ("bank.dtype=float32", True),
        ("bank.engine=tensorflow", True),
        ("bank.enabled=false", True),
        ("bank.max_gigabytes=5", False),
        ("tracking.resume=never", False),
        ("paths.cache=elsewhere", False),
    ],
)
def test_of_flowersweeps_own(change: str, differs: bool) -> None:  # noqa: FBT001 - of a table
    """How features are computed and stored affects the result; where results are stored, and which, does not."""
    before = OmegaConf.create(
        {
            "bank": {"enabled": True, "dtype": "float16", "engine": "auto", "max_gigabytes": 20},
            "tracking": {"dir": "results", "resume": "auto"},
            "paths": {"cache": None},
        }
    )
    after = OmegaConf.merge(before, OmegaConf.from_dotlist([change]))
    assert isinstance(after, DictConfig)
    old, new = (
        definition_of(build_space(arguments), config, content={})
        for arguments, config in ((BASE, before), ([*BASE, change], after))
    )
    assert differences(old, new) == ([f"{change} is now given; it was not."] if differs else [])


def test_two_programs_with_equal_configurations() -> None:
    """They are different searches with equal derived names; a definition of before programs had names is that of any."""
    space, config = build_space(BASE), OmegaConf.create({})
    svm, forest, former = (
        definition_of(space, config, program=name) for name in ("svm.py:main", "forest.py:main", None)
    )
    assert differences(svm, forest) == ["The program was svm.py:main, and is now forest.py:main."]
    assert differences(former, svm) == differences(svm, former) == []
    assert derived_name(space, former, ["minimize"]) == derived_name(space, svm, ["minimize"])


def test_from_before_a_group_was_a_part_of_it() -> None:
    """A study of which it is unknown with which values it was started goes on with its command, under the same derived name."""
    space, config = (
        build_space([*BASE, "cluster.k=5", "bank=off"]),
        {"epochs": 10, "cluster": {"k": 5}, "bank": {"enabled": False}},
    )
    new = definition_of(space, OmegaConf.create(config), content={})
    former = {**new, "fixed": {"epochs": "10"}, "config": {"epochs": 10, "hydra.sweeper.n_repeats": 1}}
    del former["left_out"]
    assert differences(former, new) == []
    assert differences(former, {**new, "fixed": {**new["fixed"], "epochs": "20"}}) == [
        "epochs was 10, and is now 20."
    ]
    assert (
        derived_name(space, former, ["maximize"])
        == derived_name(space, new, ["maximize"])
        == "model-lr-d8a0af"
    )


def test_passwords_are_no_part_of_it() -> None:
    """Not of what a program is configured with; another one goes on with the same study."""
    first, other = (
        definition_of(build_space(BASE), OmegaConf.create({"db": f"mysql://me:{word}@host/pictures"}))
        for word in ("Wx7-secret-9", "Qz2-secret-4")
    )
    assert first["config"]["db"] == "mysql://me:***@host/pictures"
    assert differences(first, other) == []


def test_conditions_differ() -> None:
    """A changed condition is told with what it was."""
    old = build_space(["m=a,b", "k=1,2"]).definition()
    new = build_space(["m=a,b", "k=1,2"], {}, {"k": {"m": "b"}}).definition()
    assert differences(old, new) == ["k was searched always, and is now searched only with m=b."]
    assert differences(new, old) == ["k was searched only with m=b, and is now searched always."]


@given(st.permutations(["a=1,2", "b=x,y", "c=interval(0,1)", "d=4", "e=range(3)"]), st.integers(1, 5))
def test_no_differences_means_equal(lines: list[str], count: int) -> None:
    """Two definitions have differences if and only if they are not equal."""
    old, new = build_space(["a=1,2", "b=x,y", "d=4"]).definition(), build_space(lines[:count]).definition()
    same_order = old == new and old["order"] == new["order"]
    assert (differences(old, new) == []) == same_order


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)


@settings(max_examples=30)
@given(_PLAIN)
@example(math.nan)
@example({"a": [math.nan, math.inf]})
def test_every_configuration_continues_its_own_study(value: Any) -> None:
    """Whatever a configuration contains, it equals itself after it was stored; also NaN, which is not equal to NaN."""
    stored = {**definition_of(build_space(BASE), OmegaConf.create({})), "config": {"value": value}}
    assert differences(json.loads(json.dumps(stored)), stored) == []


def test_keys_that_were_added_later() -> None:
    """A study from before a key was added goes on under its name while the key has no effect, and not otherwise."""
    space = build_space(BASE)
    before = {"data": {"source": "demo"}, "trainer": {"epochs": 10}, "optimizer": {"name": "adam"}}
    after = {
        "data": {"source": "demo", "resize": "stretch", "folds": None},
        "trainer": {"epochs": 10, "class_weight": "none", "callbacks": []},
        "optimizer": {"name": "adam", "ema": None, "layer_decay": 1.0},
    }
    cropped = {**after, "data": {"source": "demo", "resize": "crop"}}
    old, new, other = (definition_of(space, OmegaConf.create(config)) for config in (before, after, cropped))

    assert differences(old, new) == []
    assert derived_name(space, old, ["maximize"]) == derived_name(space, new, ["maximize"])
    assert differences(old, other) == ["data.resize is now in the configuration, as crop; it was not."]
    assert differences(other, old) == ["data.resize is no longer in the configuration; it was crop."]
