"""Streams that accept every text, read or not."""

import io
import os
import sys

import pytest

from broken_pipes import unread
from flowersweep.streams import accept_all, lead_nowhere, prepare, settle, standard_error_held


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", rb"\xb1 \u2026 \udce9"),
        ("latin-1", b"\xb1 \\u2026 \\udce9"),
        ("utf-8", "± … \\udce9".encode()),
    ],
)
def test_what_an_encoding_does_not_have_is_escaped(encoding: str, written: bytes) -> None:
    """Nothing that it has is."""
    content = io.BytesIO()
    stream = io.TextIOWrapper(content, encoding)
    accept_all(stream)
    stream.write("± … \udce9")
    stream.flush()
    assert content.getvalue() == written


def test_another_handler_is_kept() -> None:
    """As in PYTHONIOENCODING=ascii:replace; and a text in memory needs none."""
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors="replace")
    accept_all(stream)
    assert stream.errors == "replace"
    accept_all(io.StringIO())


def test_closed_streams_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has None for them, on which nothing can be printed."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    prepare()
    assert sys.stdout.write("text") == sys.stderr.write("text") == 4
    sys.stdout.close()
    sys.stderr.close()


def test_without_a_reader_nothing_fails() -> None:
    """Neither what was held back nor what is written afterwards, nor the end."""
    with unread() as stream:
        stream.write("held back")
        settle(stream)
        stream.write("later")
        stream.flush()
    settle(stream)  # it is closed
    with unread() as stream:
        lead_nowhere(stream)
        stream.write("later")


def test_nothing_is_seen_of_what_succeeds(capfd: pytest.CaptureFixture[str]) -> None:
    """And after the block standard error is what it was."""
    with standard_error_held():
        os.write(2, b"noise\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_all_is_seen_of_what_fails(capfd: pytest.CaptureFixture[str]) -> None:
    """Before the error reaches anybody."""

    def fail() -> None:
        os.write(2, b"why\n")
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"), standard_error_held():
        fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "why\nafter\n"
