"""A terminal for tests: a program runs in a pseudo-terminal, and its output is drawn on a screen."""

import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from fcntl import ioctl

_TOKEN = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n])")
# Sequences without an effect on where text stands: colours, and whether the cursor is visible.
_WITHOUT_EFFECT = {"m", "h", "l"}


class Screen:
    """The lines that a terminal shows after some output, those that were scrolled away included.

    Args:
        columns: Its width; longer lines are continued in the next one.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self._row = self._column = 0

    def feed(self, output: str) -> None:
        """Draw some output.

        Raises:
            ValueError: It has a control sequence that is not known here.
        """
        at = 0
        while at < len(output):
            if (match := _TOKEN.match(output, at)) is None:
                raise ValueError(f"unknown control sequence: {output[at : at + 12]!r}")
            at = match.end()
            count, command, control, character = match.groups()
            if command:
                self._command(command, count)
            elif control:
                self._column, self._row = (0, self._row) if control == "\r" else (0, self._row + 1)
                self._grow()
            else:
                self._write(character)

    def _command(self, command: str, count: str) -> None:
        if command == "A":
            self._row -= int(count or 1)
            assert self._row >= 0, "the cursor left the top of the output"
        elif command == "K":
            kept = [] if count == "2" else self.rows[self._row][: self._column]
            self.rows[self._row] = kept
        elif command not in _WITHOUT_EFFECT:
            raise ValueError(f"unknown control sequence: {count}{command}")

    def _write(self, character: str) -> None:
        if self._column == self.columns:
            self._row, self._column = self._row + 1, 0
            self._grow()
        row = self.rows[self._row]
        row.extend(" " * (self._column + 1 - len(row)))
        row[self._column] = character
        self._column += 1

    def _grow(self) -> None:
        self.rows.extend([] for _ in range(self._row + 1 - len(self.rows)))

    @property
    def lines(self) -> list[str]:
        """The lines, without spaces at their ends and without empty ones."""
        return [line for row in self.rows if (line := "".join(row).rstrip())]


def shown(command: Sequence[str], columns: int) -> list[str]:
    """Run a program in a pseudo-terminal; give what it sent, in the pieces in which it was read."""
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    hidden = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    pieces = []
    with subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, env={**environment, "TERM": "xterm-256color"}
    ) as program:
        os.close(child)
        while True:
            try:
                piece = os.read(parent, 1 << 16)
            except OSError:  # Linux reports the end of the other side in this way
                break
            if not piece:
                break
            pieces.append(piece)
    os.close(parent)
    text = b"".join(pieces).decode()
    assert program.returncode == 0, text
    # The end of each update of a display: the cursor goes up after it, or a line has ended.
    return re.split(r"(?<=\n)|(?=\x1b\[1A)", text)
