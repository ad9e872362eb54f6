"""What a check raises becomes a line, and the other checks go on."""

from collections.abc import Iterator

import pytest

from flowersweep.doctor.finding import Finding, Verdict, run_check
from flowersweep.errors import DataError


def test_a_sentence_becomes_what_was_found_and_how_to_mend_it() -> None:
    """What was found before the error stays."""

    def check() -> Iterator[Finding]:
        yield Finding("first", "good")
        raise DataError("The folder x is empty; put pictures into it.")

    assert run_check("pictures", check) == [
        Finding("first", "good", Verdict.FINE, ""),
        Finding("pictures", "The folder x is empty", Verdict.FIX, "put pictures into it"),
    ]


def test_a_check_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error nobody thought of is something to fix, never passed over; its traceback can be had."""

    def check() -> Iterator[Finding]:
        raise ZeroDivisionError("division by zero")

    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    (finding,) = run_check("memory", check)
    assert finding.found == "this check itself failed with ZeroDivisionError: division by zero"
    assert finding.verdict is Verdict.FIX

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ZeroDivisionError):
        run_check("memory", check)
