"""The definition of a space is JSON, and canonical."""

import pytest

from flowersweep.sweep.space.build_space import build_space


def test_shape() -> None:
    """Searched keys, their order, conditions and fixed values, all as text."""
    space = build_space(["+m=a,b", "s=3", "~t", "~u=1"], {"m.at": "range(1,4)"}, {"m.at": {"m": "b"}})
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
    assert build_space([one]).definition() == build_space([other]).definition()
