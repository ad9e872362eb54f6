"""Tables for terminals of any width: no word and no number is broken."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Cell = str | Text


@dataclass(frozen=True)
class Listing:
    """Rows below headings. A terminal gets a table if every word fits into it, and otherwise a few lines for each row.

    Attributes:
        headings: The names of the columns.
        rows: A cell for each heading.
        title: A line above; empty for none.
        right: The headings of right-aligned columns.
        wrapping: The headings of columns whose cells may be wrapped between words.
        optional: The headings of columns that are left out if there is not enough space, in this order.
        styles: A style of rich for each row; empty for none.
        caption: A line below; empty for none.
    """

    headings: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    right: Collection[str] = ()
    wrapping: Collection[str] = ()
    optional: Sequence[str] = ()
    styles: Sequence[str | None] = ()
    caption: str = ""

    def show(self, console: "Console", *others: "Listing") -> None:
        """Print the first form that fits: this table, with fewer columns, or one of the others; otherwise lines.

        Args:
            console: Where to print.
            others: The same rows in narrower tables.
        """
        if self.title:
            show_text(console, self.title, style="italic")
        if self.rows:
            self._show_rows(console, others)
        if self.caption:
            show_text(console, self.caption, style="dim italic")

    def _show_rows(self, console: "Console", others: Sequence["Listing"]) -> None:
        for listing in (form for one in (self, *others) for form in one.forms()):
            widths = listing.widths(console.width)
            if widths is not None:
                console.print(listing.table(widths), highlight=False)
                return
        for line in self.lines(console.width):
            console.print(line, highlight=False, soft_wrap=True)

    def forms(self) -> Iterator["Listing"]:
        """This table, then without each of the optional columns."""
        form = self
        yield form
        for heading in self.optional:
            form = form.without(heading)
            yield form

    def without(self, heading: str) -> "Listing":
        """This table without a column."""
        kept = [index for index, name in enumerate(self.headings) if name != heading]
        return replace(
            self,
            headings=tuple(self.headings[index] for index in kept),
            rows=[[row[index] for index in kept] for row in self.rows],
        )

    def widths(self, width: int) -> list[int] | None:
        """The width of each column in a table that is not wider than `width`; None if a word does not fit."""
        columns = [
            [heading, *(str(row[index]) for row in self.rows)] for index, heading in enumerate(self.headings)
        ]
        largest = [max(map(cell_len, cells)) for cells in columns]
        found = [
            max((cell_len(word) for cell in cells for word in cell.split()), default=0)
            if heading in self.wrapping
            else whole
            for heading, cells, whole in zip(self.headings, columns, largest, strict=True)
        ]
        # Between two columns are a line and two spaces.
        space = width - sum(found) - 3 * (len(found) - 1)
        if space < 0:
            return None
        while space > 0 and found != largest:
            narrowest = max(range(len(found)), key=lambda index: largest[index] / max(found[index], 1))
            found[narrowest] += 1
            space -= 1
        return found

    def table(self, widths: Sequence[int]) -> "Table":
        """The table with these widths."""
        from rich.table import Table

        table = Table(show_edge=False, pad_edge=False)
        for heading, width in zip(self.headings, widths, strict=True):
            table.add_column(
                self._cell(heading, heading, width),
                justify="right" if heading in self.right else "left",
                width=width,
                no_wrap=True,
            )
        for row, style in zip(self.rows, self.styles or [None] * len(self.rows), strict=True):
            cells = zip(self.headings, row, widths, strict=True)
            table.add_row(*(self._cell(*cell) for cell in cells), style=style)
        return table

    def _cell(self, heading: str, cell: Cell, width: int) -> Text:
        """A cell, wrapped if it may be: rich itself breaks words of wide characters."""
        text = str(cell)
        lines = "\n".join(wrapped(text, width)) if heading in self.wrapping else text
        return Text(lines, cell.style if isinstance(cell, Text) else "")

    def lines(self, width: int) -> Iterator[Text]:
        """A line for each cell that is not empty, and an empty line between rows; only words longer than a line exceed it."""
        indent = max(map(len, self.headings)) + 2
        for number, row in enumerate(self.rows):
            if number:
                yield Text()
            for heading, cell in zip(self.headings, row, strict=True):
                style = cell.style if isinstance(cell, Text) else ""
                for line in wrapped(str(cell), width - indent):
                    yield Text.assemble(f"{heading:<{indent}}", (line, style))
                    heading = ""  # noqa: PLW2901 - it precedes the first line only


def show_text(console: "Console", text: str, *, style: str = "") -> None:
    """Print a text that is wrapped between words; a longer word, such as a path, is not broken."""
    for line in wrapped(text, console.width):
        console.print(Text(line, style), highlight=False, soft_wrap=True)


def show_facts(console: "Console", facts: Mapping[str, str]) -> None:
    """Print names and texts next to each other; empty texts are left out.

    Args:
        console: Where to print.
        facts: The texts by name.
    """
    indent = max(map(len, facts)) + 2
    for name, text in facts.items():
        for number, line in enumerate(wrapped(text, console.width - indent)):
            shown = Text.assemble((f"{'' if number else name:<{indent}}", "bold"), line)
            console.print(shown, highlight=False, soft_wrap=True)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of a text that are not wider than `width`, except for longer words."""
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
