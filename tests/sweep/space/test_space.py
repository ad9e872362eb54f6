"""A space's grid, suggestions and overrides agree with Hydra and Optuna."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from hydra import compose, initialize
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flowersweep.errors import SweepError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.space.values import text_of

SIMPLE = (
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text("ab 1,'\\(é", max_size=4)
)
VALUES = SIMPLE | st.lists(SIMPLE, max_size=2)


@st.composite
def _sweeps(draw: st.DrawFn) -> str:
    """A choice, a range or an interval."""
    kind = draw(st.sampled_from(["choice", "range", "floats", "interval", "int", "log"]))
    low, count = draw(st.integers(-20, 20)), draw(st.integers(1, 4))
    if kind == "choice":
        values = draw(st.lists(VALUES, min_size=2, max_size=4, unique_by=_identity))
        return ",".join(map(text_of, values))
    if kind == "range":
        step = draw(st.sampled_from([-3, -1, 1, 2]))
        return f"range({low},{low + count * step},{step})"
    if kind == "floats":
        return f"range({low / 10},{low / 10 + count},0.7)"
    if kind == "interval":
        return f"interval({low},{low + count})"
    return f"int(interval({low},{low + count}))" if kind == "int" else f"tag(log,interval(0.001,{count}))"


def _identity(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else text_of(value)


SPACES = st.lists(_sweeps(), min_size=1, max_size=3).map(
    lambda sweeps: build_space([f"x.d{number}={sweep}" for number, sweep in enumerate(sweeps)])
)


@pytest.fixture(scope="module")
def _composed() -> Iterator[None]:
    """Hydra, ready to compose a configuration with keys x.d0, x.d1 and x.d2, and a group with two options."""
    store = ConfigStore.instance()
    store.store(
        name="space_test", node={"defaults": [{"kind": "a"}], "x": {"d0": None, "d1": None, "d2": None}}
    )
    store.store(group="kind", name="a", node={"name": "a"})
    store.store(group="kind", name="b", node={"name": "b", "depth": 1})
    with initialize(config_path=None):
        yield


def _compose(overrides: list[str]) -> Any:
    return OmegaConf.to_container(compose("space_test", overrides=overrides))


class TestGrid:
    """The points of a finite space."""

    def test_order_is_hydras(self) -> None:
        """The last key varies fastest, as in Hydra's own jobs, fixed values in their places."""
        lines = ["a=x,y", "s=7", "b=range(0,1,0.5)", "c=null,[1]"]
        (jobs,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(lines), None)
        space = build_space(lines)
        assert [space.overrides(point) for point in space.grid()] == jobs
        assert space.size == 8

    @given(st.lists(st.integers(1, 4), min_size=0, max_size=4))
    def test_grid_is_the_product(self, lengths: list[int]) -> None:
        """Without conditions the grid is the product of all values, and size counts it."""
        space = build_space([f"d{number}=range({length})" for number, length in enumerate(lengths)])
        names = [f"d{number}" for number in range(len(lengths))]
        product = [dict(zip(names, point, strict=True)) for point in itertools.product(*map(range, lengths))]
        assert list(space.grid()) == product
        assert space.size == len(product)

    def test_values_are_those_of_the_configuration(self) -> None:
        """The study has texts of lists and mappings; all else is the same."""
        space = build_space(["sizes=[1,2],[3]", "m={a:1},{a:2}", "n=1,2", "rate=interval(0,1)"])
        labels = {name: one.options[0].label for name, one in space.searched.items() if one.options}
        assert labels == {"sizes": "[1,2]", "m": "{a:1}", "n": 1}
        values = space.values({**labels, "rate": 0.5})
        assert values == {"sizes": [1, 2], "m": {"a": 1}, "n": 1, "rate": 0.5}

    def test_nothing_searched(self) -> None:
        """A sweep without a search is one point, the plain run."""
        space = build_space(["a=1"])
        assert (space.finite, space.size, list(space.grid())) == (True, 1, [{}])
        assert space.overrides({}) == ["a=1"]

    @pytest.mark.slow
    def test_is_lazy(self) -> None:
        """A grid of ten to the sixteenth gives its first point at once, and its size."""
        space = build_space([f"d{number}=range(10000)" for number in range(4)])
        assert next(space.grid()) == {"d0": 0, "d1": 0, "d2": 0, "d3": 0}
        assert space.size == 10**16

    def test_intervals_have_none(self) -> None:
        """An interval makes a space infinite, also one of integers; asking for the grid says what to do."""
        space = build_space(["a=1,2", "b=int(interval(1,3))"])
        assert not space.finite
        with pytest.raises(SweepError, match=r"b is searched in an interval.*n_trials"):
            list(space.grid())
        with pytest.raises(SweepError, match="which has no grid"):
            _ = space.size


class TestLarge:
    def test_products_are_counted_not_walked(self) -> None:
        """The size of a hundred million points, conditions among them, and the first points come at once."""
        ranges = ["a=range(0,10000)", "b=range(0,10000)", "c=1,2"]
        plain = build_space(ranges)
        conditional = build_space(ranges, conditions={"c": {"a": [5, 7], "b": 3}})
        began = time.process_time()
        assert plain.size == 2 * 10**8
        assert conditional.size == 10**8 + 2
        assert [point["b"] for point in itertools.islice(conditional.grid(), 5)] == [0, 1, 2, 3, 4]
        assert time.process_time() - began < 2


class TestSuggest:
    """What an Optuna trial is asked."""

    @given(space=SPACES, seed=st.integers(0, 99))
    @settings(deadline=None)
    def test_suggestions_are_legal(self, space: Space, seed: int) -> None:
        """Each suggestion lies in its distribution, is stored in the trial, and is a point of the space."""
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
        trial = study.ask()
        params = space.suggest(trial)
        assert trial.params == params
        assert trial.distributions == space.dimensions
        assert list(params) == list(space.searched)
        for name, value in params.items():
            distribution = space.dimensions[name]
            assert distribution._contains(distribution.to_internal_repr(value))
        assert space.check_point(params) == []

    @given(space=SPACES, seed=st.integers(0, 99))
    @settings(deadline=None)
    def test_overrides_give_the_values_back(self, space: Space, seed: int) -> None:
        """Hydra's parser reads the overrides of any suggestion as the values of the configuration."""
        params = space.suggest(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask())
        for override in OverridesParser.create().parse_overrides(space.overrides(params)):
            dimension = space.searched[override.key_or_group]
            index = dimension.index(params[dimension.name])
            expected = params[dimension.name] if index is None else dimension.options[index].value
            assert repr(override.value()) == repr(expected)

    @pytest.mark.slow
    @given(space=SPACES, seed=st.integers(0, 99))
    @settings(max_examples=25, deadline=None)
    def test_overrides_compose(self, _composed: None, space: Space, seed: int) -> None:  # noqa: PT019 (hypothesis passes by keyword)
        """A configuration composed with the overrides has exactly the suggested values."""
        params = space.suggest(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask())
        node = _compose(space.overrides(params))["x"]
        for name, dimension in space.searched.items():
            index = dimension.index(params[name])
            expected = params[name] if index is None else dimension.options[index].value
            assert repr(node[name.removeprefix("x.")]) == repr(expected)

    def test_float_steps_are_written_as_typed(self) -> None:
        """Optuna's 0.30000000000000004 becomes the 0.3 that the range means."""
        space = build_space(["x=range(0,1,0.1)"])
        assert space.overrides({"x": 0.1 * 3}) == ["x=0.3"]
        assert space.point({"x": 0.1 * 3}) == {"x": 0.3}

    def test_queued_points_are_taken(self) -> None:
        """A point of the grid that is queued in a study comes back unchanged from the next trial."""
        space = build_space(["x=range(0,1,0.1)", "y=null,[1]", "z=range(5,1,-2)"])
        study = optuna.create_study()
        points = list(space.grid())
        for point in points:
            study.enqueue_trial(point)
        assert [space.suggest(study.ask()) for _ in points] == points


@pytest.mark.usefixtures("_composed")
class TestCompose:
    """Overrides of groups, additions and deep keys are what Hydra takes."""

    def test_groups_and_additions(self) -> None:
        """A searched group, a key that only one option has, and an added key compose together."""
        space = build_space(
            ["kind=a,b", "+x.new=1,2"], {"kind.depth": "choice(5,6)"}, {"kind.depth": {"kind": "b"}}
        )
        configs = [_compose(space.overrides(point)) for point in space.grid()]
        assert [(c["kind"]["name"], c["kind"].get("depth"), c["x"]["new"]) for c in configs] == [
            ("a", None, 1),
            ("a", None, 2),
            ("b", 5, 1),
            ("b", 5, 2),
            ("b", 6, 1),
            ("b", 6, 2),
        ]

    def test_glob(self) -> None:
        """A glob searches the options of a group that match."""
        loader = GlobalHydra.instance().config_loader()
        assert list(build_space(["kind=glob(*)"], config_loader=loader).grid()) == [
            {"kind": "a"},
            {"kind": "b"},
        ]
        assert build_space(["kind=glob(*,exclude=a)"], config_loader=loader).size == 1
        with pytest.raises(SweepError, match="glob matches no option of the group kind"):
            build_space(["kind=glob(z*)"], config_loader=loader)


class TestPoints:
    """Points that a user gives."""

    SPACE = build_space(
        ["m=a,b", "n=[32,64],[8]", "lr=tag(log,interval(1e-4,1))", "k=int(interval(1,4))", "r=range(0,9,2)"]
    )

    def test_values_of_the_configuration(self) -> None:
        """A point may use lists, integers for floats, and leave keys out; the study gets what it stores."""
        point = self.SPACE.point({"n": [32, 64], "lr": 1, "k": 4.0, "r": 8})
        assert repr(point) == repr({"n": "[32,64]", "lr": 1.0, "k": 4, "r": 8})

    @pytest.mark.parametrize(
        ("point", "words"),
        [
            (
                {"mm": "a"},
                r"mm is not searched in this sweep; searched keys: m, n, lr, k, r.",
            ),
            ({"m": "c"}, "m must be one of a, b, but is 'c'."),
            ({"n": [32]}, r"n must be one of \[32,64\], \[8\], but is \[32\]."),
            ({"lr": 2}, "lr must be a number from 0.0001 to 1.0, but is 2."),
            ({"lr": "fast"}, "lr must be a number"),
            ({"lr": True}, "lr must be a number"),
            ({"lr": float("nan")}, "lr must be a number"),
            ({"k": 1.5}, "k must be an integer from 1 to 4, but is 1.5."),
            ({"k": None}, "k must be an integer"),
            ({"r": 3}, "r must be an integer from 0 to 8 in steps of 2, but is 3."),
        ],
    )
    def test_bad_points(self, point: dict[str, Any], words: str) -> None:
        """An unknown key or a value that is not searched is one sentence, with what is allowed."""
        (problem,) = self.SPACE.check_point(point)
        with pytest.raises(SweepError, match=words):
            self.SPACE.point(point)
        assert "\n" not in problem

    def test_a_text_that_looks_like_another_choice(self) -> None:
        """A point of the configuration has its own values, however the study spells the others."""
        space = build_space(["x=1,true,'true'", "y=1,2"], conditions={"y": {"x": True}})
        labels = [option.label for option in space.searched["x"].options]
        points = [space.point({"x": value}) for value in (1, True, "true")]
        assert points == [{"x": label} for label in labels]
        assert space.point({"x": True, "y": 2}) == {"x": labels[1], "y": 2}
        with pytest.raises(SweepError, match="y is searched only with x=true; add this to the point"):
            space.point({"x": "true", "y": 2})

    def test_a_condition_on_a_text(self) -> None:
        """It holds for the text, not for the choice that the study spells like it."""
        space = build_space(["x=1,true,'true'", "k=1,2"], {}, {"k": {"x": "true"}})
        assert space.definition()["conditions"] == {"k": {"x": ["'true'"]}}
        assert space.point({"x": "true", "k": 1}) == {"x": "'true'", "k": 1}

    @pytest.mark.parametrize("value", [2**70, 10**400, -(10**400)])
    @pytest.mark.parametrize("search", ["interval(0,1)", "range(0.0,1.0,0.1)", "range(30)", "1,2"])
    def test_huge_integers(self, search: str, value: int) -> None:
        """They are not in a search of small numbers, also if no float is as large."""
        with pytest.raises(SweepError, match=r"^x must be "):
            build_space([f"x={search}"]).point({"x": value})

    def test_a_long_range_has_steps(self) -> None:
        """A point has a value of the range, whichever end it starts from."""
        space = build_space(["w=range(0,100000,7)", "down=range(100000,0,-7)"])
        assert not any(found.options for found in space.searched.values())
        assert space.point({"w": 7 * 999, "down": 100000 - 7}) == {"w": 6993, "down": 99993}
        assert space.check_point({"w": 3, "down": 7}) == [
            "w must be an integer from 0 to 99995 in steps of 7, but is 3.",
            "down must be an integer from 5 to 100000 in steps of 7, but is 7.",
        ]

    def test_all_problems_at_once(self) -> None:
        """Every problem of a point is told."""
        assert len(self.SPACE.check_point({"m": "c", "k": 9, "q": 1})) == 3

    def test_overrides_need_every_value(self) -> None:
        """A trial without a value for a key, or with another key, is refused."""
        with pytest.raises(SweepError, match=r"b has no value in this trial; it must be one of 3, 4\."):
            build_space(["a=1,2", "b=3,4"]).overrides({"a": 1})
        with pytest.raises(SweepError, match="c is not searched"):
            build_space(["a=1,2"]).overrides({"a": 1, "c": 1})
