"""Hydra's sweep grammar becomes the right distribution, the right values in the right order, or one clear sentence."""

from typing import Any

import optuna
import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from flowersweep.errors import SweepError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.values import plain, same, text_of

CHOICES = [
    ("x=a,b", ["a", "b"], ["a", "b"]),
    ("x=choice(a,b)", ["a", "b"], ["a", "b"]),
    ("x=choice(80,100,120)", [80, 100, 120], ["80", "100", "120"]),
    ("x=0.1,1e-3", [0.1, 0.001], ["0.1", "0.001"]),
    ("x=null,a", [None, "a"], ["null", "a"]),
    ("x=true,False", [True, False], ["true", "false"]),
    ("x=[32,64],[8]", ["[32,64]", "[8]"], ["[32,64]", "[8]"]),
    ("x=[],[a b,'1',null]", ["[]", "[a\\ b,'1',null]"], ["[]", "[a\\ b,'1',null]"]),
    ("x={a:1},{a:2}", ["{a:1}", "{a:2}"], ["{a:1}", "{a:2}"]),
    ("x='1',b", ["1", "b"], ["'1'", "b"]),
    ("x=choice('1','null')", ["1", "null"], ["'1'", "'null'"]),
    ("x=choice('',a)", ["", "a"], ["''", "a"]),
    ("x=a b,'c,d'", ["a b", "c,d"], ["a\\ b", "c\\,d"]),
    ("x=${y},b", ["${y}", "b"], ["$\\{y\\}", "b"]),
    ("x=int(1.5,2.5)", [1, 2], ["1", "2"]),
    ("x=str('1',2)", ["1", "2"], ["'1'", "'2'"]),
    ("x=sort(3,1,2)", [1, 2, 3], ["1", "2", "3"]),
    # Optuna takes true for 1, 1 for 1.0 and the text [1] for the list: then all go by their text.
    ("x=true,1", ["true", "1"], ["true", "1"]),
    ("x='[1]',[1]", ["\\[1\\]", "[1]"], ["\\[1\\]", "[1]"]),
    ("x=nan,inf,1", ["nan", "inf", 1], ["nan", "inf", "1"]),
    ("+x=a,b", ["a", "b"], ["a", "b"]),
    ("x@y=a,b", ["a", "b"], ["a", "b"]),
    ("x=int(range(1.5,5))", [1, 2, 3, 4], ["1", "2", "3", "4"]),
    ("x=float(range(1,3))", [1.0, 2.0], ["1.0", "2.0"]),
]

# Hydra's own jobs lose the quotes inside choice(), so that the text '1' becomes a number.
LOST_BY_HYDRA = {"'"}

# Every range leaves its stop out, as Python's does.
RANGES = [
    ("x=range(3)", IntDistribution(0, 2), [0, 1, 2]),
    ("x=range(1,5)", IntDistribution(1, 4), [1, 2, 3, 4]),
    ("x=range(1,2)", IntDistribution(1, 1), [1]),
    ("x=range(1,5,2)", IntDistribution(1, 3, step=2), [1, 3]),
    ("x=range(1,6,2)", IntDistribution(1, 5, step=2), [1, 3, 5]),
    ("x=range(1,7,2)", IntDistribution(1, 5, step=2), [1, 3, 5]),
    ("x=range(5,1,-1)", IntDistribution(2, 5), [5, 4, 3, 2]),
    ("x=range(5,1,-2)", IntDistribution(3, 5, step=2), [5, 3]),
    ("x=range(-2,1)", IntDistribution(-2, 0), [-2, -1, 0]),
    ("x=range(0,1,0.25)", FloatDistribution(0, 0.75, step=0.25), [0.0, 0.25, 0.5, 0.75]),
    ("x=range(0,1,0.3)", FloatDistribution(0, 0.9, step=0.3), [0.0, 0.3, 0.6, 0.9]),
    ("x=range(0,0.3,0.1)", FloatDistribution(0, 0.2, step=0.1), [0.0, 0.1, 0.2]),
    ("x=range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1), [0.1, 0.2, 0.3, 0.4]),
    ("x=range(0.5,0.1,-0.2)", FloatDistribution(0.3, 0.5, step=0.2), [0.5, 0.3]),
    ("x=range(1.0,3.0)", FloatDistribution(1, 2, step=1), [1.0, 2.0]),
    ("x=sort(range(1,5),reverse=true)", IntDistribution(1, 4), [4, 3, 2, 1]),
    ("x=tag(log,range(1,100))", IntDistribution(1, 99, log=True), list(range(1, 100))),
]

INTERVALS = [
    ("x=interval(1,5)", FloatDistribution(1, 5)),
    ("x=interval(-0.5,0.5)", FloatDistribution(-0.5, 0.5)),
    ("x=interval(2,2)", FloatDistribution(2, 2)),
    ("x=int(interval(1,5))", IntDistribution(1, 5)),
    ("x=tag(log,interval(1e-5,0.1))", FloatDistribution(1e-5, 0.1, log=True)),
    ("x=tag(log,int(interval(1,64)))", IntDistribution(1, 64, log=True)),
    ("x=int(tag(log,interval(1,64)))", IntDistribution(1, 64, log=True)),
]

BAD = [
    ("x=range(5,1)", "range is empty"),
    ("x=range(1,1)", "range is empty"),
    ("x=range(1,5,-1)", "change the step's sign"),
    ("x=range(0.5,0.1,0.1)", "range is empty"),
    ("x=range(1,5,0)", "step of 0"),
    ("x=range(1,inf)", "finite numbers"),
    ("x=range(0,10,0.0001)", r"100000 values, more than 10000; use interval\(low, high\) or"),
    ("x=shuffle(range(0,1000000))", r"1000000 values, more than 10000"),
    ("x=tag(log,range(0,5))", "integers from 1 on"),
    ("x=tag(log,range(1,9,2))", "in steps of 1"),
    ("x=tag(log,int(range(1,9)))", "does not work with a cast range"),
    ("x=int(range(0,2,0.5))", "same value twice, as 0 and 0"),
    ("x=interval(5,1)", "from 5.0 down to 1.0; write the lower end first"),
    ("x=interval(1,inf)", "finite numbers"),
    ("x=interval(nan,1)", "finite numbers"),
    ("x=tag(log,interval(0,1))", "lower end above 0, but it is 0.0"),
    ("x=tag(log,interval(-1,1))", "lower end above 0, but it is -1.0"),
    ("x=tag(lg,interval(1,2))", "the tag lg is unknown"),
    ("x=tag(log,choice(1,2))", "requires numbers in order"),
    ("x=choice()", "empty choice"),
    ("x=a,b,a", "same value twice, as a and a"),
    ("x=a,'a'", "same value twice"),
    ("x=1,1.0", "same value twice, as 1 and 1.0"),
    ("x=[1],[1]", "same value twice"),
    ("x=[choice(1,2),3]", "only a complete value can be searched"),
    ("x=range(1,3),5", "only a complete value can be searched"),
    ("x=choice(choice(1,2),3)", "only a complete value can be searched"),
    ("x=glob(*)", "list the options instead"),
    ("x=foo(1)", "Unknown function 'foo'"),
    ("x=a,", "not in Hydra's grammar"),
    ("x", "not in Hydra's grammar"),
]

TEXT = st.text(max_size=8) | st.sampled_from(
    ["null", "TRUE", "1", "1e5", "nan", "${a}", "a b", "[1]", "it's", '"', "\\"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


def _only(line: str) -> Any:
    (found,) = build_space([line]).searched.values()
    return found


class TestDistributions:
    """A table of what each form of the grammar becomes."""

    @pytest.mark.parametrize(("line", "labels", "texts"), CHOICES)
    def test_choices(self, line: str, labels: list[Any], texts: list[str]) -> None:
        """A choice is categorical; what Optuna cannot store or tell apart goes by its text."""
        found = _only(line)
        assert isinstance(found.distribution, CategoricalDistribution)
        assert [repr(choice) for choice in found.distribution.choices] == [repr(label) for label in labels]
        assert [option.text for option in found.options] == texts

    @pytest.mark.parametrize(("line", "distribution", "values"), RANGES)
    def test_ranges(self, line: str, distribution: Any, values: list[Any]) -> None:
        """A range has a start and no stop, in whatever direction and step; its grid keeps the order."""
        found = _only(line)
        assert found.distribution == distribution
        assert [option.value for option in found.options] == values
        assert [type(option.value) for option in found.options] == [type(value) for value in values]

    @pytest.mark.parametrize(("line", "distribution", "values"), RANGES)
    def test_shuffled_ranges(self, line: str, distribution: Any, values: list[Any]) -> None:
        """Shuffling changes the order of the grid, the same way each time, and nothing else."""
        shuffled = line.replace("x=", "x=shuffle(") + ")"
        first, second = _only(shuffled), _only(shuffled)
        assert first.distribution == distribution
        assert sorted(option.value for option in first.options) == sorted(values)
        assert first.options == second.options

    def test_shuffling_shuffles(self) -> None:
        """Thirty values do not stay in order."""
        values = [option.value for option in _only("x=shuffle(range(30))").options]
        assert values != sorted(values)

    @pytest.mark.parametrize(("line", "distribution"), INTERVALS)
    def test_intervals(self, line: str, distribution: Any) -> None:
        """An interval includes both ends, is whole-numbered after int(), and has no grid."""
        found = _only(line)
        assert found.distribution == distribution
        assert found.options == ()

    @pytest.mark.parametrize(
        ("line", "distribution"),
        [
            ("x=range(0,1000000)", IntDistribution(0, 999_999)),
            ("x=range(1000000,0,-7)", IntDistribution(1, 1_000_000, step=7)),
            ("x=tag(log,range(1,1000000000000))", IntDistribution(1, 999_999_999_999, log=True)),
        ],
    )
    def test_long_ranges(self, line: str, distribution: Any) -> None:
        """A range of many integers is searched, and has no grid."""
        space = build_space([line])
        assert (space.dimensions, space.finite) == ({"x": distribution}, False)
        assert space.overrides({"x": distribution.high}) == [f"x={distribution.high}"]
        with pytest.raises(SweepError, match=r"x is searched in a long range, which has no grid"):
            list(space.grid())

    @pytest.mark.parametrize(("line", "words"), BAD)
    def test_bad_sweeps(self, line: str, words: str) -> None:
        """What cannot be searched is refused in one line that shows it."""
        with pytest.raises(SweepError, match=words) as raised:
            build_space([line])
        assert "\n" not in str(raised.value)
        assert line in str(raised.value)

    @pytest.mark.parametrize(
        "line", [case[0] for case in (*CHOICES, *RANGES) if not LOST_BY_HYDRA & {*case[0]}]
    )
    def test_same_grid_as_hydra(self, line: str) -> None:
        """The values and their order are those of Hydra's own sweeper, as its jobs parse them."""
        parsed = OverridesParser.create().parse_overrides([line])
        (jobs,) = BasicSweeper.split_arguments(parsed, None)
        ours = [build_space([line]).overrides(point) for point in build_space([line]).grid()]
        parse = OverridesParser.create().parse_overrides
        assert repr([parse(job)[0].value() for job in ours]) == repr([parse(job)[0].value() for job in jobs])

    @pytest.mark.parametrize("line", [case[0] for case in (*CHOICES, *RANGES, *INTERVALS)])
    def test_canonical_text_means_the_same(self, line: str) -> None:
        """The text of a dimension, parsed again in params, gives the same dimension."""
        found = _only(line)
        (again,) = build_space([], {found.key: found.text}).searched.values()
        assert again.distribution == found.distribution
        assert again.text == found.text
        assert [option.text for option in again.options] == [option.text for option in found.options]


class TestHugeIntegers:
    """Optuna counts in floats, which skip integers from 2**53 on."""

    @pytest.mark.parametrize("search", ["range({},{})", "shuffle(range({},{}))"])
    @pytest.mark.parametrize("first", [2**53 - 2, 2**60, -(2**60), 10**400])
    def test_a_short_range_has_all(self, search: str, first: int) -> None:
        """Each trial has exactly the value that it was asked to have."""
        space = build_space([f"x={search.format(first, first + 5)}"])
        study = optuna.create_study()
        for point in space.grid():
            study.enqueue_trial(point)
        texts = {space.overrides(space.suggest(study.ask()))[0] for _ in range(5)}
        assert texts == {f"x={number}" for number in range(first, first + 5)}

    @pytest.mark.parametrize(
        "search",
        [
            f"range({2**60},{2**60 + 50_000})",
            f"int(interval(1,{2**60}))",
            f"tag(log,range({2**60},{2**60 + 9}))",
            f"range(0,{10**400})",
        ],
    )
    def test_others_are_refused(self, search: str) -> None:
        """A value could be its neighbor."""
        with pytest.raises(SweepError, match=r"^x=.* its integers exceed 9007199254740992 \(2\*\*53\)"):
            build_space([f"x={search}"])

    def test_the_largest(self) -> None:
        """Up to 2**53 each integer is itself."""
        found = build_space([f"x=int(interval(-{2**53},{2**53}))"]).searched["x"].distribution
        assert found == IntDistribution(-(2**53), 2**53)


class TestValues:
    """The text of a value is parsed back to it."""

    @given(VALUES)
    def test_round_trip(self, value: Any) -> None:
        """Any value of a configuration survives the way through an override, with its type."""
        (override,) = OverridesParser.create().parse_overrides([f"x={text_of(value)}"])
        assert same(plain(override.value()), value)
        assert repr(plain(override.value())) == repr(value)

    def test_mappings(self) -> None:
        """Mappings keep their keys' types; a key that cannot be written is refused."""
        assert text_of({"a b": 1, 2: [None]}) == "{a\\ b:1,2:[null]}"
        with pytest.raises(SweepError, match="the key '1' of a mapping cannot be written"):
            text_of({"1": 0})

    def test_same(self) -> None:
        """Numbers are equal across types; true, 1 and '1' are three values."""
        assert same(1, 1.0)
        assert same([1, [None]], [1.0, [None]])
        assert same({"a": 1}, {"a": 1})
        assert not same("1", 1)
        assert not same([True], [1])
        assert not same({"a": False}, {"a": 0})
        assert not same([1], [1, 2])


class TestSources:
    """The command line and params together."""

    def test_arguments_replace_params_in_place(self) -> None:
        """An argument wins over params of the same key, with or without +, and keeps its place in the order."""
        space = build_space(["c=3,4", "a=9", "+b=7,8"], {"a": "1,2", "b": "range(2)", "d": 5})
        assert space.fixed == ("a=9", "d=5")
        assert [dimension.key for dimension in space.searched.values()] == ["+b", "c"]
        assert space.overrides({"b": 7, "c": 3}) == ["a=9", "+b=7", "d=5", "c=3"]

    def test_params_take_yaml(self) -> None:
        """Params that are no text are fixed values, and nested mappings are dotted keys."""
        space = build_space([], {"m": {"at": "1,2", "w": None}, "f": [8, "8"], "on": True, "r": 0.5, "e": {}})
        assert space.fixed == ("m.w=null", "f=[8,'8']", "on=true", "r=0.5", "e={}")
        assert list(space.searched) == ["m.at"]

    def test_null_in_a_choice_of_params(self) -> None:
        """choice(null,a) means in params what null,a means on the command line."""
        params = {"x": "choice(null,a)"}
        assert build_space([], params).definition() == build_space(["x=null,a"]).definition()

    def test_deletions_and_repeats_are_kept(self) -> None:
        """Deletions stay; of two fixed values of one key the last holds, as in Hydra."""
        assert build_space(["~a", "b=1", "b=2", "~c=3"]).fixed == ("~a", "b=2", "~c=3")

    @pytest.mark.parametrize("digits", [401, 5001])
    def test_integers_of_many_digits(self, digits: int) -> None:
        """More than a float can be are a value of a choice; more than Python reads are refused in a sentence."""
        number = "1" + "0" * (digits - 1)
        if digits == 401:
            dimension = build_space([f"x=1,{number}"]).searched["x"]
            assert [option.label for option in dimension.options] == [1, number]
            assert dimension.override(number) == f"x={number}"
        else:
            with pytest.raises(SweepError, match=r"^'x=1,1000.*Exceeds the limit \(4300 digits\)"):
                build_space([f"x=1,{number}"])

    @pytest.mark.parametrize(
        ("arguments", "params", "words"),
        [
            (["a=1,2", "a=3"], {}, "a is given twice on the command line, as a=1,2 and a=3"),
            (["a=3", "+a=1,2"], {}, r"a is given twice on the command line, as a=3 and \+a=1,2"),
            ([], {"a": "1,2", "+a": 3}, "a is given twice in hydra.sweeper.params"),
            ([], {"hydra.job.name": "a,b"}, "Hydra's own keys cannot be searched"),
            ([], {"x": "range(1"}, r"hydra.sweeper.params.x: range\(1"),
            ([], {"x": "str(choice(null,a))"}, "not in Hydra's grammar"),
        ],
    )
    def test_bad_sources(self, arguments: list[str], params: dict[str, Any], words: str) -> None:
        """Contradictions and unreadable params are refused in one sentence."""
        with pytest.raises(SweepError, match=words):
            build_space(arguments, params)
