"""How much is tried: a little in the suite, FLOWERSWEEP_FUZZ times as much on demand."""

import os
import sys

import hypothesis
import pytest

from flowersweep import cli

TIMES = int(os.environ.get("FLOWERSWEEP_FUZZ", "1"))


def tries(n: int) -> hypothesis.settings:
    """The settings of a test with n examples in the suite."""
    return hypothesis.settings(
        max_examples=n * TIMES,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    )


class Command:
    """Runs the command line in this process until the pictures would be read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def check(self, *arguments: str) -> None:
        """Run it: it is either good, or refused with code 2 in lines of the program's own."""
        self._monkeypatch.setattr(sys, "argv", ["flowersweep", *arguments])
        self._capfd.readouterr()
        code = cli.main()
        err = self._capfd.readouterr().err
        told = [line for line in err.splitlines() if line.startswith("flowersweep: ")]
        assert code == 2, (code, err)
        assert told, (code, err)
        assert "Traceback" not in err, err
        assert "unexpectedly" not in err, err
        assert len(told[0]) > len("flowersweep: "), err
