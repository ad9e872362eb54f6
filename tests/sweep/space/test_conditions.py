"""Conditional dimensions are searched exactly when their conditions hold."""

import itertools
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.errors import SweepError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.space import Space

PARAMS = {"model": "choice(cnn,frozen,ft)", "model.at": "choice(80,100)", "seed": "1,2"}
CONDITIONS = {"model.at": {"model": "ft"}}


@st.composite
def _spaces(draw: st.DrawFn) -> Space:
    """Up to five keys, each under conditions on any of those drawn before it; then in any order."""
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    conditions: dict[str, dict[str, list[int]]] = {}
    for child in range(1, len(lengths)):
        parents = draw(st.lists(st.integers(0, child - 1), max_size=2, unique=True))
        condition = {
            f"d{parent}": draw(st.lists(st.integers(0, lengths[parent] - 1), min_size=1, max_size=2))
            for parent in parents
        }
        if condition:
            conditions[f"d{child}"] = condition
    order = draw(st.permutations(range(len(lengths))))
    return build_space([], {f"d{number}": f"range({lengths[number]})" for number in order}, conditions)


def _by_product(space: Space) -> list[dict[str, Any]]:
    """The grid as defined: Hydra's product, what is not searched left out, repeats left out."""
    points = []
    names = list(space.searched)
    for values in itertools.product(
        *(range(len(dimension.options)) for dimension in space.searched.values())
    ):
        full = dict(zip(names, values, strict=True))

        def holds(name: str, full: dict[str, int] = full) -> bool:
            return all(
                full[parent] in allowed and holds(parent)
                for parent, allowed in space.searched[name].when.items()
            )

        point = {name: value for name, value in full.items() if holds(name)}
        if point not in points:
            points.append(point)
    return points


class TestGrid:
    """The grid of a conditional space."""

    def test_left_out_and_collapsed(self) -> None:
        """A key whose condition does not hold is left out, and the points that become alike come once."""
        space = build_space([], PARAMS, CONDITIONS)
        points = [space.overrides(point) for point in space.grid()]
        assert points == [
            ["model=cnn", "seed=1"],
            ["model=cnn", "seed=2"],
            ["model=frozen", "seed=1"],
            ["model=frozen", "seed=2"],
            ["model=ft", "model.at=80", "seed=1"],
            ["model=ft", "model.at=80", "seed=2"],
            ["model=ft", "model.at=100", "seed=1"],
            ["model=ft", "model.at=100", "seed=2"],
        ]
        assert space.size == 8
        assert space.conditional

    def test_child_before_parent(self) -> None:
        """Where the child comes first, a point stands where Hydra's product has it first."""
        space = build_space(["c=1,2", "p=a,b"], {}, {"c": {"p": "b"}})
        assert list(space.grid()) == [{"p": "a"}, {"c": 1, "p": "b"}, {"c": 2, "p": "b"}]

    @given(_spaces())
    def test_is_the_collapsed_product(self, space: Space) -> None:
        """Any space gives the product's points in the product's order, and size counts them."""
        points = list(space.grid())
        assert points == _by_product(space)
        assert space.size == len(points)

    def test_many_conditions_stay_small(self) -> None:
        """Twenty models with ten values of their own each are 200 points, found without the product of 10 ** 20."""
        names = [f"m{number}" for number in range(20)]
        params = {"model": f"choice({','.join(names)})", **{f"{name}.k": "range(10)" for name in names}}
        space = build_space([], params, {f"{name}.k": {"model": name} for name in names})
        assert len(list(space.grid())) == space.size == 200


class TestSuggest:
    """What a trial is asked under conditions."""

    @given(space=_spaces(), seed=st.integers(0, 20))
    def test_only_active_dimensions(self, space: Space, seed: int) -> None:
        """A suggestion is a point of the grid: it has every key that is searched there, and no other."""
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask()
        params = space.suggest(trial)
        assert params == trial.params
        assert params in list(space.grid())
        assert space.overrides(params) == [f"{name}={value}" for name, value in params.items()]

    def test_several_values_and_parents(self) -> None:
        """A list means any of its values; several keys mean all of them."""
        space = build_space(["a=1,2,3", "b=x,y", "c=7,8"], {}, {"c": {"a": [1, 3], "b": "y"}})
        points = [point for point in space.grid() if "c" in point]
        assert points == [{"a": a, "b": "y", "c": c} for a in (1, 3) for c in (7, 8)]

    def test_values_of_every_type(self) -> None:
        """Conditions compare as the configuration does: null, booleans, numbers and lists."""
        space = build_space(["a=null,true,1.0,[1]", "b=0,1"], {}, {"b": {"a": [None, 1, [1]]}})
        assert [point["a"] for point in space.grid() if "b" in point] == [
            "null",
            "null",
            "1.0",
            "1.0",
            "[1]",
            "[1]",
        ]
        assert space.size == 7


class TestFixedParents:
    """What the command line fixes decides conditions once for all."""

    def test_a_fixed_parent_decides(self) -> None:
        """With the parent fixed, its child is always searched, or never."""
        assert list(build_space(["model=ft"], PARAMS, CONDITIONS).searched) == ["model.at", "seed"]
        assert list(build_space(["model=cnn"], PARAMS, CONDITIONS).searched) == ["seed"]

    def test_a_narrowed_parent_decides(self) -> None:
        """With the value searched away on the command line, the child is never searched; nor are its own children."""
        params = {**PARAMS, "model.deep": "1,2"}
        conditions = {**CONDITIONS, "model.deep": {"model.at": 80}}
        assert list(build_space(["model=cnn,frozen"], params, conditions).searched) == ["model", "seed"]

    def test_a_fixed_child_keeps_its_condition(self) -> None:
        """A value typed for a conditional key is given only where the key exists."""
        space = build_space(["model.at=90"], PARAMS, CONDITIONS)
        assert [space.overrides(point) for point in space.grid()][3:5] == [
            ["model=frozen", "seed=2"],
            ["model=ft", "model.at=90", "seed=1"],
        ]
        assert space.fixed == ()

    @pytest.mark.parametrize("typed", ["model.at=90", "model.at=90,95"])
    def test_a_useless_argument_is_refused(self, typed: str) -> None:
        """A typed key that no trial would have is a slip, and said so."""
        with pytest.raises(SweepError, match=rf"{typed} would have no effect: model.at is searched only"):
            build_space(["model=cnn", typed], PARAMS, CONDITIONS)


class TestPoints:
    """Points under conditions."""

    def test_a_point_needs_the_parent(self) -> None:
        """A conditional value without the value it waits for is refused, with what to add."""
        space = build_space([], PARAMS, CONDITIONS)
        assert space.check_point({"model": "ft", "model.at": 80}) == []
        for point in ({"model": "cnn", "model.at": 80}, {"model.at": 80}):
            assert space.check_point(point) == [
                "model.at is searched only with model=ft; add this to the point, or leave model.at out."
            ]


BAD = [
    (
        {"model.att": {"model": "ft"}},
        "model.att depends on model.att, which is neither .* Did you mean model.at?",
    ),
    ({"model.at": {"mdel": "ft"}}, "model.at depends on mdel, which is neither .* Did you mean model?"),
    (
        {"model.at": {"model": "fft"}},
        "model.at requires model=fft, but model must be one of cnn, frozen, ft.",
    ),
    ({"model.at": {"model": ["ft", "x"]}}, "model.at requires model=x"),
    ({"model.at": {"model.at": 80}}, "are circular, model.at -> model.at"),
    (
        {"model.at": {"model": "ft"}, "model": {"seed": 1}, "seed": {"model.at": 80}},
        "model.at -> model -> seed -> model.at",
    ),
    ({"model.at": "ft"}, "must be a mapping such as"),
    ({"model.at": {}}, "must be a mapping such as"),
    ({"model.at": {"model": []}}, "lists no value of model"),
    ({"model.at": {"lr": 0.5}}, "depends on lr, which is an interval"),
]


@pytest.mark.parametrize(("conditions", "words"), BAD)
def test_bad_conditions(conditions: dict[str, Any], words: str) -> None:
    """A condition that cannot hold or cannot be read is one sentence that names it."""
    with pytest.raises(SweepError, match=words) as raised:
        build_space([], {**PARAMS, "lr": "interval(0,1)"}, conditions)
    assert "hydra.sweeper.conditions" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_values_of_an_overridden_search_are_known() -> None:
    """A value that params search and the command line does not is no error; one that neither has is."""
    assert build_space(["model=cnn,frozen"], PARAMS, CONDITIONS).size == 4
    with pytest.raises(SweepError, match="requires model=fft"):
        build_space(["model=cnn,frozen"], PARAMS, {"model.at": {"model": "fft"}})
