"""What can be typed behind `make` is listed by `make`."""

import re
import shutil
import subprocess

import pytest

from conftest import ROOT

MAKE = shutil.which("make")


@pytest.mark.skipif(MAKE is None, reason="make is not installed")
def test_help_lists_every_target() -> None:
    """Each phony target has a line of help, whatever characters its name is made of."""
    (phony,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    command = [str(MAKE), "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    names, texts = zip(*(line.split(maxsplit=1) for line in shown.splitlines()), strict=True)
    assert list(names) == phony.split()
    assert all(texts)
