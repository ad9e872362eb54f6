"""The progress bar: late, on standard error, and only on a terminal."""

import pytest

from flowersweep import progress as module
from flowersweep.progress import progress


@pytest.mark.parametrize("unit", ["pictures", "bytes"])
def test_a_bar_appears_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    """Work that outlasts the delay is shown on standard error with its description."""
    monkeypatch.setattr(module, "DELAY", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes Rich take the captured stream for a terminal
    with progress("Counting", 3, unit=unit) as advance:  # type: ignore[arg-type]  # parametrized literal
        for _ in range(3):
            advance(1)

    out, err = capsys.readouterr()
    assert out == ""
    assert "Counting" in err


def test_short_work_is_not_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that is over within two seconds prints nothing."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("Counting", 3) as advance:
        advance(3)

    assert capsys.readouterr().err == ""


def test_nothing_is_shown_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal nothing is printed however long it takes."""
    monkeypatch.setattr(module, "DELAY", 0.0)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with progress("Counting", 3) as advance:
        advance(1)

    assert capsys.readouterr().err == ""
