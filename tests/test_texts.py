"""Names of others, in files and on terminals."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.texts import as_text, choose_one_of, in_one_line, is_line, nearest, plain_console

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")


@given(name=st.binary(min_size=1).filter(lambda name: b"\0" not in name and name != b"."))
def test_any_name_becomes_a_line_of_utf_8(name: bytes) -> None:
    """Whatever bytes it has; a name that is such a line already stays as it is but for its control characters."""
    given_name = os.fsdecode(name)
    assert is_line(in_one_line(given_name))
    assert as_text(given_name).encode()
    assert in_one_line(Path("a") / given_name.replace("/", "_")).startswith("a/")
    if given_name.isprintable():
        assert in_one_line(given_name) == as_text(given_name) == given_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9", r"caf\xe9"),
        (b"a\nb\tc", r"a\nb\tc"),
        ("é花🌼".encode(), "é花🌼"),
        ("\u2028".encode(), r"\u2028"),
    ],
)
def test_what_is_escaped(name: bytes, shown: str) -> None:
    """Bytes that are no UTF-8, and what breaks lines; other letters stay."""
    assert in_one_line(os.fsdecode(name)) == shown
    assert is_line(os.fsdecode(name)) is (shown == os.fsdecode(name))


def test_a_terminal_shows_brackets_and_colons(capsys: pytest.CaptureFixture[str]) -> None:
    """They mean nothing to it."""
    plain_console().print("[red]a[/red] :smile: [/]")
    assert capsys.readouterr().out == "[red]a[/red] :smile: [/]\n"


def test_nearest() -> None:
    """A typo gets the name it is closest to; a word that resembles none of the names gets no suggestion."""
    assert nearest("RandomFlp", ["RandomFlip", "RandomZoom"]) == " Did you mean RandomFlip?"
    assert nearest("xyz", ["RandomFlip"]) == ""


def test_choose_one_of() -> None:
    """The end of a sentence names all choices, and the nearest one again."""
    assert choose_one_of(["fan", "grill"], "grlil") == "choose one of fan, grill. Did you mean grill?"
    assert choose_one_of(["fan"], "xyz") == "choose one of fan."
