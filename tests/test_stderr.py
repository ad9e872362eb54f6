"""What C++ code writes to standard error, here by its file descriptor."""

import os

import pytest

from flowersweep.stderr import standard_error_held


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
