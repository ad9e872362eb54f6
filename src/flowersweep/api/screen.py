"""How the progress of another process is shown: on the terminal itself, in a notebook, or as lines."""

import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

_REFRESH_SECONDS = 0.25
_WIDTH = 100
_MAX_LINES = 1000

# By these rich decides whether it draws in place; a kernel sets some of them for programs that only colour their output.
_RICH = ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES", "TERM")
_DRAWS = {
    "TTY_COMPATIBLE": "1",
    "TTY_INTERACTIVE": "1",
    "NO_COLOR": "1",
    "COLUMNS": str(_WIDTH),
    "TERM": "xterm",
}

# What rich sends to a terminal: a control sequence, a control character, or text. Links are not shown.
_SENT = re.compile(
    r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x1b\x07]*(?:\x1b\\|\x07)|([\r\n])|([^\x1b\r\n]+)|\x1b"
)
_INCOMPLETE = re.compile(r"\x1b(?:\[[0-9;?]*|\][^\x1b\x07]*\x1b?)?\Z")


class Progress(Protocol):
    """Where progress is shown.

    Attributes:
        inherits: Whether the process writes there itself.
    """

    inherits: bool

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The environment variables of the process."""

    def show(self, text: str) -> None:
        """Show what the process has written."""


@contextmanager
def progress() -> Iterator[Progress]:
    """The progress display that fits the caller, in a block."""
    if in_notebook():
        display = NotebookProgress()
        try:
            yield display
        finally:
            display.update()
    else:
        yield _Terminal() if _is_terminal() else _Lines()


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, without importing IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def _is_terminal() -> bool:
    # Not a stream that a program has put in its place, such as a test's.
    return sys.stderr is sys.__stderr__ and sys.stderr is not None and sys.stderr.isatty()


class _Terminal:
    inherits = True

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return dict(variables)

    def show(self, text: str) -> None:
        raise NotImplementedError


class _Lines:
    inherits = False

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if name not in _RICH}

    def show(self, text: str) -> None:
        sys.stderr.write(text)


class NotebookProgress:
    """An output of a notebook's cell that is replaced as the process goes on, and at last has its lines only."""

    inherits = False

    def __init__(self) -> None:
        self._screen = Screen()
        self._handle: Any = None
        self._shown = ""
        self._next = 0.0

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Those of a terminal, on which rich draws in place."""
        kept = {name: value for name, value in variables.items() if name not in _RICH}
        return {**kept, **_DRAWS}

    def show(self, text: str) -> None:
        """Take in what the process has written, and show it a few times a second."""
        self._screen.feed(text)
        if time.monotonic() >= self._next:
            self.update()

    def update(self) -> None:
        """Show everything now."""
        text = self._screen.text()
        if text == self._shown:
            return
        from IPython.display import display

        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
        self._shown, self._next = text, time.monotonic() + _REFRESH_SECONDS


class Screen:
    """The lines of a terminal on which rich draws: text, line breaks, and going up to draw again what is there."""

    def __init__(self) -> None:
        self._lines = [""]
        self._row = self._column = 0
        self._rest = ""  # an incomplete control sequence

    def feed(self, text: str) -> None:
        """Take in what was written."""
        text = self._rest + text
        incomplete = _INCOMPLETE.search(text)
        self._rest = incomplete.group() if incomplete else ""
        for found in _SENT.finditer(text.removesuffix(self._rest)):
            number, command, control, words = found.groups()
            if words is not None:
                self._write(words)
            elif control == "\r":
                self._column = 0
            elif control == "\n":
                self._down()
            elif command == "A":
                self._row = max(0, self._row - int(number or 1))
            elif command == "K":
                self._lines[self._row] = "" if number == "2" else self._lines[self._row][: self._column]

    def text(self) -> str:
        """The lines, without spaces at their ends."""
        return "\n".join(line.rstrip() for line in self._lines).rstrip()

    def _write(self, words: str) -> None:
        line = self._lines[self._row].ljust(self._column)
        end = self._column + len(words)
        self._lines[self._row] = line[: self._column] + words + line[end:]
        self._column = end

    def _down(self) -> None:
        self._row += 1
        self._column = 0
        if self._row == len(self._lines):
            self._lines.append("")
        if len(self._lines) > _MAX_LINES:
            del self._lines[0]
            self._row -= 1
