"""Overrides for pasting."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.config.pasting import pasted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/home/me/results", "tracking.dir=/home/me/results"),
        ("/home/me/my results", "'tracking.dir=/home/me/my results'"),
        ("/a,b", "\"tracking.dir='/a,b'\""),
    ],
)
def test_quotes_are_where_they_are_needed(value: str, expected: str) -> None:
    """For the shell, for Hydra, or for both."""
    assert pasted("tracking.dir", value) == expected


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_what_is_pasted_is_the_value(value: str) -> None:
    """The shell and Hydra give the very text back, unless it has a reference to another key in it."""
    value = value.replace("${", "$ {")
    (word,) = shlex.split(pasted("a.b", value))
    override = OverridesParser.create().parse_override(word)

    assert str(override.value()) == value
