"""The doctor's findings as a table."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.texts import plain_console

_STYLES = {Verdict.FINE: "green", Verdict.NOTE: "yellow", Verdict.MEND: "bold red"}


def show(findings: Sequence[Finding]) -> None:
    """Print a line per finding and one about all of them."""
    table = Table(show_lines=False)
    for heading in ("check", "found", "verdict", "how to mend it"):
        table.add_column(heading, overflow="fold", no_wrap=heading in {"check", "verdict"})
    for one in findings:
        verdict = Text(one.verdict, style=_STYLES[one.verdict])
        table.add_row(Text(one.check), Text(one.found), verdict, Text(one.mend))
    console = plain_console()
    console.print(table)
    number = Counter(one.verdict for one in findings)
    notes = f", {number[Verdict.NOTE]} worth a note" if number[Verdict.NOTE] else ""
    mend = f"{number[Verdict.MEND]} to mend" if number[Verdict.MEND] else "nothing to mend"
    console.print(f"{number[Verdict.FINE]} fine{notes}, {mend}.", highlight=False)
