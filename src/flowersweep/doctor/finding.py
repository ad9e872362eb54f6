"""The result of a check. Needs only the standard library, so that the doctor works when packages are missing."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from flowersweep.errors import FlowersweepError
from flowersweep.redaction import redacted
from flowersweep.tracking.patience import patience


class Verdict(StrEnum):
    """The severity of a finding."""

    FINE = "fine"
    NOTE = "note"  # runs work, but the user may want to know
    FIX = "fix"  # runs fail, or results are in danger


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Attributes:
        check: What was checked.
        found: A short description of what was found.
        verdict: The severity.
        fix: How to fix it; empty if there is nothing to fix.
    """

    check: str
    found: str
    verdict: Verdict = Verdict.FINE
    fix: str = ""


Check = Callable[[], Iterable[Finding]]


def run_check(name: str, check: Check) -> list[Finding]:
    """Run a check. Its errors become findings, so that the other checks are run, too; nothing is waited for.

    Args:
        name: The name of the check, for findings from errors.
        check: Returns its findings; may raise a FlowersweepError with a message "what is wrong; how to fix it.".
    """
    findings = []
    try:
        with patience(0):
            for finding in check():
                findings.append(finding)  # noqa: PERF402 - findings before an error are not lost
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
    """A finding from a message of the form "what is wrong; how to fix it."."""
    found, _, fix = str(error).partition("; ")
    return Finding(name, found, Verdict.FIX, fix.rstrip("."))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0]
