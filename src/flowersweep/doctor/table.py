"""The doctor's findings as a table."""

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from flowersweep.console import plain_console
from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.tables import Listing

_STYLES = {Verdict.FINE: "green", Verdict.NOTE: "yellow", Verdict.FIX: "bold red"}


def show(findings: Sequence[Finding]) -> None:
    """Print each finding and a summary."""
    rows = [
        (one.check, one.found, Text(one.verdict, style=_STYLES[one.verdict]), one.fix) for one in findings
    ]
    console = plain_console()
    Listing(("check", "found", "verdict", "how to fix it"), rows, wrapping={"found", "how to fix it"}).show(
        console
    )
    number = Counter(one.verdict for one in findings)
    n_notes = number[Verdict.NOTE]
    notes = f", {n_notes} note{'s' * (n_notes != 1)}" if n_notes else ""
    fix = f"{number[Verdict.FIX]} to fix" if number[Verdict.FIX] else "nothing to fix"
    console.print(f"{number[Verdict.FINE]} fine{notes}, {fix}.", highlight=False)
