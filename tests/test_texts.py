"""Names of others, in files and on terminals."""

import math
import os
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.console import plain_console
from flowersweep.texts import (
    as_text,
    choose_one_of,
    counted,
    edit_distance,
    in_one_line,
    is_line,
    mean_text,
    nearest,
    nearest_of,
    number_text,
    paired,
    printable,
    share_text,
    upper_bound,
)

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


def test_half_a_character_becomes_text() -> None:
    """YAML and JSON can contain one, which no file name does."""
    assert as_text("a\ud800b") == r"a\ud800b"
    assert in_one_line("a\ud800\n") == r"a\ud800\n"


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


@pytest.mark.parametrize(
    ("received", "meant"),
    [
        ("randomflip", "RandomFlip"),  # another case
        ("fine-tune-at", "fine_tune_at"),  # other separators
        ("RandomFilp", "RandomFlip"),  # two letters exchanged
        ("val_acc", "val_accuracy"),  # the beginning
        ("inception", "InceptionV3"),  # the beginning, rather than two errors from Xception
        ("RandomCut", None),  # its first word says nothing
        ("trainer.foo", None),
        ("model.layers", None),
        ("lr", None),
    ],
)
def test_likely_spellings(received: str, meant: str | None) -> None:
    """What names have in common does not make the rest similar."""
    names = ["RandomHue", "RandomFlip", "fine_tune_at", "val_accuracy", "Xception", "InceptionV3"]
    assert nearest_of(received, [*names, "trainer", "trainer.monitor", "model.filters", "model"]) == meant


NAMES = st.lists(st.text("abcAB_.1", min_size=1, max_size=12), min_size=1, max_size=5)


@given(received=st.text("abcAB_.1", max_size=12), names=NAMES)
def test_a_suggestion_is_close(received: str, names: list[str]) -> None:
    """Whatever is suggested has the same letters, begins with what was received, or is a quarter of it away."""
    meant = nearest_of(received, names)
    if meant is not None:
        one, other = (re.sub(r"[_.]", "", name).lower() for name in (received, meant))
        assert other.startswith(one) or edit_distance(one, other) <= max(1, max(len(one), len(other)) // 4)


@given(name=st.text("abcdefgh", min_size=4, max_size=12), data=st.data())
def test_a_missing_letter_is_found(name: str, data: st.DataObject) -> None:
    """A word without one of its letters is a likely spelling of it."""
    at = data.draw(st.integers(0, len(name) - 1))
    assert nearest_of(f"trainer.{name[:at]}{name[at + 1 :]}", [f"trainer.{name}"]) == f"trainer.{name}"


def test_edit_distance() -> None:
    """Known distances: an exchange of neighbours is one step."""
    pairs = [("", "abc"), ("kitten", "sitting"), ("ab", "ba"), ("same", "same"), ("a cat", "an act")]
    assert [edit_distance(*pair) for pair in pairs] == [3, 3, 1, 0, 2]


def test_choose_one_of() -> None:
    """The end of a sentence names all choices, and the nearest one again."""
    assert choose_one_of(["fan", "grill"], "grlil") == "choose one of fan, grill. Did you mean grill?"
    assert choose_one_of(["fan"], "xyz") == "choose one of fan."


def test_counted() -> None:
    """One thing is not several."""
    shown = [counted(0, "file"), counted(1, "file"), counted(3670, "picture"), counted(2, "class", "classes")]
    assert shown == ["0 files", "1 file", "3,670 pictures", "2 classes"]


@given(text=st.text(st.characters()))
def test_a_terminal_obeys_no_printable_text(text: str) -> None:
    """Only line breaks and tabs stay of what controls a terminal; the text can be encoded, and is printed only once."""
    shown = printable(text)
    kinds = {unicodedata.category(character) for character in shown if character not in "\n\t"}
    assert not kinds & {"Cc", "Cs", "Zl", "Zp"}
    assert printable(shown) == shown
    assert shown.encode().decode() == shown


def test_what_is_printable_stays() -> None:
    """Letters of all scripts, emoji, line breaks and tabs stay; colours, a moved cursor and a turned direction do not."""
    assert printable("é花🌼 שלום\n\tx") == "é花🌼 שלום\n\tx"
    assert printable("\x1b[31mred\x07\rover\r\n\u202eback") == "\\x1b[31mred\\x07\\rover\n\\u202eback"


@pytest.mark.parametrize(
    ("given_names", "known", "pairs"),
    [
        (["ros\xe9"], ["ros\xe9", "lily"], {"ros\xe9": "ros\xe9"}),
        (["rose\u0301", "lily"], ["ros\xe9", "tulip"], {"rose\u0301": "ros\xe9"}),
        (["ros\xe9"], ["rose\u0301"], {"ros\xe9": "rose\u0301"}),
        (["ros\xe9", "rose\u0301"], ["ros\xe9"], {"ros\xe9": "ros\xe9"}),
        (["\u212b", "A\u030a"], ["\xc5"], {}),
        (["rose", "Ros\xe9"], ["ros\xe9"], {}),
    ],
)
def test_names_are_paired_in_any_form_of_unicode(
    given_names: list[str], known: list[str], pairs: dict[str, str]
) -> None:
    """As they are if possible; otherwise where only one is left on each side."""
    assert paired(given_names, known) == pairs


def test_a_name_neither_breaks_its_line_nor_changes_its_direction() -> None:
    """Control characters, separators of lines and marks of directions are escaped; tabs and line breaks too."""
    assert in_one_line("a\tb\r\nc\x1b[m\u2028\u202ertl\u2066") == r"a\tb\r\nc\x1b[m\u2028\u202ertl\u2066"
    assert printable("a\tb\r\nc\u202e") == "a\tb\nc\\u202e"


@given(st.floats(0, 1e9, allow_subnormal=False))
def test_a_bound_is_not_smaller_than_what_it_bounds(value: float) -> None:
    """It has two significant digits, so it is at most a tenth larger."""
    assert value <= float(upper_bound(value)) <= value * 1.1


def test_a_bound_of_two_digits_stays() -> None:
    """It is the number itself, whatever its digits in binary are."""
    assert [upper_bound(value) for value in (0.13, 0.01, 0.0, 2e-7)] == ["0.13", "0.01", "0", "2e-07"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4.9e-5, "4.9e-05"),
        (0.5, "0.5000"),
        (12.345, "12.35"),
        (123.44, "123.4"),
        (1.0, "1"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.99997, "0.99997"),
        (3.4e38, "3.4e+38"),
        (123456789.0, "123456789"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    """Integers have no decimals, and what is not 0 or 1 is not shown as 0 or 1."""
    assert number_text(value) == text


@given(st.floats(0, 1))
def test_a_number_between_0_and_1_is_shown_as_such(value: float) -> None:
    """Only 0 and 1 themselves are shown as 0 and 1, and four decimals are right."""
    shown = float(number_text(value))
    assert (shown == 0, shown == 1) == (value == 0, value == 1)
    assert abs(shown - value) <= 0.5000001e-4


@pytest.mark.parametrize(
    ("share", "decimals", "text"),
    [
        (1.0, 0, "100%"),
        (0.0, 0, "0%"),
        (0.5, 0, "50%"),
        (0.996, 0, ">99%"),
        (0.004, 0, "<1%"),
        (0.9997, 1, ">99.9%"),
        (0.0004, 1, "<0.1%"),
    ],
)
def test_percentages(share: float, decimals: int, text: str) -> None:
    """A share that is not whole is not shown as one that is."""
    assert share_text(share, decimals=decimals) == text


@given(st.floats(0, 1), st.integers(0, 3))
def test_only_whole_shares_are_shown_as_whole(share: float, decimals: int) -> None:
    """All is 100 %, none is 0 %, and nothing else is."""
    text = share_text(share, decimals)
    assert (text in {f"{end:.{decimals}%}" for end in (0, 1)}) == (share in {0, 1})


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [
        (0.9396, 0.000787, "0.9396 ± 0.0008"),
        (0.9396, 0.0, "0.9396 ± 0.0000"),
        (0.9396, 0.00001, "0.9396 ± 1e-05"),
        (123.44, 5.67, "123.4 ± 5.7"),
        (1.0, 0.0, "1 ± 0"),
        (0.99997, 0.00002, "0.99997 ± 2e-05"),
        (13.0, 0.7071, "13.00 ± 0.71"),
        (2.0, 1.4142, "2.0000 ± 1.4142"),
        (150.0, 3.6, "150.0 ± 3.6"),
        (12, 3, "12 ± 3"),
        (12.0, 0.0, "12 ± 0"),
        (9.87e-7, 5.1e-7, "9.87e-07 ± 5.1e-07"),
    ],
)
def test_a_spread_has_the_decimals_of_its_mean(mean: float, deviation: float, text: str) -> None:
    """More would be of no use, and fewer only where nothing would be left."""
    assert mean_text(mean, deviation) == text
