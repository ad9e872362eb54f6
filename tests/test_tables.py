"""Tables for terminals of any width."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from flowersweep.tables import Listing, show_facts, show_text
from tables_read import broken_words

WORDS = st.text(st.sampled_from("abcäß1.5e-_/中"), min_size=1, max_size=30)
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


def memory(width: int) -> Console:
    """A console that writes to memory."""
    return Console(file=io.StringIO(), width=width, force_terminal=False, markup=False, emoji=False)


def written(console: Console) -> str:
    """What was written to it."""
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # it is a StringIO


@settings(max_examples=40)
@given(
    st.integers(1, 4).flatmap(
        lambda n: st.tuples(
            st.lists(WORDS, min_size=n, max_size=n, unique=True),
            st.lists(st.lists(TEXTS, min_size=n, max_size=n), min_size=1, max_size=4),
            st.sets(st.integers(0, n - 1)),
        )
    ),
    st.integers(1, 120),
)
def test_every_word_is_whole(shape: tuple[list[str], list[list[str]], set[int]], width: int) -> None:
    """Whatever the cells and the width; no line of a table is wider than the terminal."""
    headings, rows, wrapping = shape
    listing = Listing(tuple(headings), rows, "a title", wrapping={headings[index] for index in wrapping})
    console = memory(width)
    listing.show(console)
    words = {word for row in [headings, *rows] for cell in row for word in cell.split()}
    assert broken_words(written(console), words) == set()
    widths = listing.widths(width)
    if widths is not None:
        assert sum(widths) + 3 * (len(widths) - 1) <= width


def test_forms_in_their_order() -> None:
    """The whole table if it fits, then without its optional columns, then the narrower one, then lines."""
    rows = [("1", "0.123456", "12.5", "30")]
    wide = Listing(("rank", "val_accuracy", "seconds", "epochs"), rows, optional=("seconds", "epochs"))
    narrow = Listing(("value",), [("0.123456",)])
    shown = {}
    for width in (40, 32, 23, 10, 5):
        console = memory(width)
        wide.show(console, narrow)
        shown[width] = written(console).splitlines()
    assert shown[40][0].split() == ["rank", "┃", "val_accuracy", "┃", "seconds", "┃", "epochs"]
    assert shown[32][0].split() == ["rank", "┃", "val_accuracy", "┃", "epochs"]
    assert shown[23][0].split() == ["rank", "┃", "val_accuracy"]
    assert shown[10][0].split() == ["value"]
    assert shown[5] == ["rank          1", "val_accuracy  0.123456", "seconds       12.5", "epochs        30"]


def test_facts_and_texts() -> None:
    """Names stand above each other; a path that is longer than a line is not broken."""
    console = memory(20)
    show_facts(console, {"run": "abc", "a longer name": "one two three", "none": ""})
    show_text(console, "see /a/path/that/is/longer/than/a/line for more")
    assert written(console).splitlines() == [
        "run            abc",
        "a longer name  one",
        "               two",
        "               three",
        "see",
        "/a/path/that/is/longer/than/a/line",
        "for more",
    ]
