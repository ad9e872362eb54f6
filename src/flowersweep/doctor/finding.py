"""What a check found. Imports nothing but the standard library: the doctor must speak where packages are missing."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from flowersweep.errors import FlowersweepError
from flowersweep.redaction import redacted
from flowersweep.tracking.patience import patience


class Verdict(StrEnum):
    """How it stands with something."""

    FINE = "fine"
    NOTE = "note"  # runs work, but somebody may want to know
    FIX = "fix"  # runs fail, or results are in danger


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes:
        check: What was looked at.
        found: What was there, in a few words.
        verdict: How it stands.
        fix: What to do; empty where there is nothing to do.
    """

    check: str
    found: str
    verdict: Verdict = Verdict.FINE
    fix: str = ""


Check = Callable[[], Iterable[Finding]]


def run_check(name: str, check: Check) -> list[Finding]:
    """Run a check. Whatever it raises becomes a finding, so that the other checks are made too, and at once.

    Args:
        name: What is looked at, for findings that are made of errors.
        check: Gives its findings; may raise a FlowersweepError whose sentence says what is wrong; how to fix it.
    """
    findings = []
    try:
        with patience(0):
            for finding in check():
                findings.append(finding)  # noqa: PERF402 - those before an error are kept
    except FlowersweepError as error:
        findings.append(broken(name, error))
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        told = f"this check itself failed with {type(error).__name__}: {_first_line(error)}"
        findings.append(
            Finding(name, told, Verdict.FIX, "see the traceback with HYDRA_FULL_ERROR=1; this is a bug")
        )
    return [replace(one, found=redacted(one.found), fix=redacted(one.fix)) for one in findings]


def broken(name: str, error: FlowersweepError) -> Finding:
    """A finding made of a sentence of the form "what is wrong; how to fix it."."""
    found, _, fix = str(error).partition("; ")
    return Finding(name, found, Verdict.FIX, fix.rstrip("."))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0]
