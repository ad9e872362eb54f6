"""The terminal: on standard error, progress bars and log lines share one console, so that they do not overwrite each other."""

import functools
import logging
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from flowersweep.streams import accept_all, lead_nowhere
from flowersweep.texts import printable

if TYPE_CHECKING:
    from rich.console import Console


@functools.cache
def stderr_console() -> "Console":
    """The console of this process for progress and messages; `[red]` and `:smile:` are ordinary text on it.

    A line that is printed on it while a display is live appears above this display.
    """
    return _terminal()(stderr=True, markup=False, emoji=False)


def plain_console(*, soft_wrap: bool = False) -> "Console":
    """Standard output as a terminal on which `[red]` and `:smile:` are ordinary text, not rich markup."""
    accept_all(sys.stdout)  # also in programs that have not prepared it
    return _terminal()(soft_wrap=soft_wrap, markup=False, emoji=False)


def _terminal() -> type["Console"]:
    """A console whose reader may leave, as `| head` does: rich's own ends the process then, and with it a training."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            lead_nowhere(self.file)

    return Terminal


def print_notice(text: str) -> None:
    """Print a message to the user on standard error, `flowersweep: TEXT`; on a terminal, wrapped between words.

    Unlike `print_line` it needs no package, so that also an error of an incomplete installation can be shown.
    """
    lines = f"flowersweep: {printable(text)}".split("\n")
    if sys.stderr.isatty():
        # 0 where the terminal does not know its size.
        width = shutil.get_terminal_size().columns or 80
        lines = [part for line in lines for part in _broken(line, width)]
    try:
        sys.stderr.write("".join(f"{line}\n" for line in lines))
    except BrokenPipeError:  # a message that nobody reads is no reason to stop
        lead_nowhere(sys.stderr)


def print_line(text: str, console: "Console") -> None:
    """Print a message; on a terminal, lines that are too long for it are broken between words, without breaking a word."""
    text = printable(text)
    if console.is_terminal:
        lines = text.split("\n")
        text = "\n".join(part for line in lines for part in _broken(line, console.width))
    console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _broken(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())] + "  "
    wrapper = textwrap.TextWrapper(
        width,
        subsequent_indent=indent,
        expand_tabs=False,
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.wrap(line) or [""]


class LogHandler(logging.Handler):
    """Prints log lines on `stderr_console`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        try:
            print_line(self.format(record), stderr_console())
        except Exception:  # noqa: BLE001 (as every handler of the standard library)
            self.handleError(record)
