"""The doctor's findings as a table."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.texts import plain_console

_STYLES = {Verdict.FINE: "green", Verdict.NOTE: "yellow", Verdict.FIX: "bold red"}


def show(findings: Sequence[Finding]) -> None:
    """Print a line for each finding and a summary."""
    table = Table(show_lines=False)
    for heading in ("check", "found", "verdict", "how to fix it"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"check", "verdict"})
    for one in findings:
        verdict = Text(one.verdict, style=_STYLES[one.verdict])
        table.add_row(Text(one.check), Text(one.found), verdict, Text(one.fix))
    console = plain_console()
    console.print(table)
    number = Counter(one.verdict for one in findings)
    n_notes = number[Verdict.NOTE]
    notes = f", {n_notes} note{'s' * (n_notes != 1)}" if n_notes else ""
    fix = f"{number[Verdict.FIX]} to fix" if number[Verdict.FIX] else "nothing to fix"
    console.print(f"{number[Verdict.FINE]} fine{notes}, {fix}.", highlight=False)
