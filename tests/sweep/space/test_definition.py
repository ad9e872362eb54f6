"""The definition of a space is JSON, canonical, and says what changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.sweep.space.definition import differences
from flowersweep.sweep.space.parse import parse_space

BASE = ["model=cnn,ft", "lr=tag(log,interval(1e-4,1))", "epochs=10"]


def test_shape() -> None:
    """Searched keys, their order, conditions and fixed values, all as text."""
    space = parse_space(["+m=a,b", "s=3", "~t", "~u=1"], {"m.at": "range(1,4)"}, {"m.at": {"m": "b"}})
    assert space.definition() == {
        "searched": {"m.at": "range(1,4,1)", "+m": "choice(a,b)"},
        "order": ["m.at", "+m"],
        "conditions": {"m.at": {"+m": ["b"]}},
        "fixed": {"s": "3", "~t": "", "~u": "1"},
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x=a,b", "x=choice(a,'b')"),
        ("x=range(1,5,2)", "x=range(1,4,2)"),
        ("x=range(3)", "x=range(0,3,1)"),
        ("x=range(0,1,0.3)", "x=range(0.0,1.2,0.3)"),
        ("x=interval(0,1)", "x=interval(0.0,1.0)"),
        ("x=int(tag(log,interval(1,9)))", "x=tag(log,int(interval(1,9)))"),
        ("x=[1, 2]", "x=[1,2]"),
        ("x='a b'", "x=a b"),
    ],
)
def test_spelling_does_not_matter(one: str, other: str) -> None:
    """Two spellings of one space have one definition."""
    assert parse_space([one]).definition() == parse_space([other]).definition()


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
    old = json.loads(json.dumps(parse_space(BASE).definition()))
    assert differences(old, parse_space(arguments).definition()) == sentences


def test_conditions_differ() -> None:
    """A changed condition is told with what it was."""
    old = parse_space(["m=a,b", "k=1,2"]).definition()
    new = parse_space(["m=a,b", "k=1,2"], {}, {"k": {"m": "b"}}).definition()
    assert differences(old, new) == ["k was searched always, and is now searched only with m=b."]
    assert differences(new, old) == ["k was searched only with m=b, and is now searched always."]


@given(st.permutations(["a=1,2", "b=x,y", "c=interval(0,1)", "d=4", "e=range(3)"]), st.integers(1, 5))
def test_no_differences_means_equal(lines: list[str], count: int) -> None:
    """Two definitions have differences if and only if they are not equal."""
    old, new = parse_space(["a=1,2", "b=x,y", "d=4"]).definition(), parse_space(lines[:count]).definition()
    same_order = old == new and old["order"] == new["order"]
    assert (differences(old, new) == []) == same_order
