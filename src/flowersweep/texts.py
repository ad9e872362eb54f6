"""Texts from outside: names of files, classes and studies, shown unchanged, and suggestions for mistyped words."""

import difflib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Control characters, and line and paragraph separators.
_BREAKING = {"Cc", "Zl", "Zp"}


def is_line(name: str) -> bool:
    """Whether a name is one line of text: the names of files are bytes, which may break lines and need not be UTF-8."""
    is_text = not any("\ud800" <= character <= "\udfff" for character in name)
    return is_text and "".join(name.splitlines()) == name


def as_text(name: str | PurePath) -> str:
    r"""A name that any text file accepts: bytes that are not UTF-8 are written as in `caf\xe9.jpg`."""
    return os.fsencode(name).decode(errors="backslashreplace")


def expanded(path: str | PurePath) -> Path:
    """A path with the home folder instead of `~`; as in a shell, `~nobody` is an ordinary name if there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path's own raises there)


def in_one_line(name: str | PurePath) -> str:
    r"""A name that does not break a line or a table: control characters are also escaped, as in `a\nb.jpg`."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _BREAKING
        else character
        for character in as_text(name)
    )


def nearest(received: object, allowed: Iterable[str]) -> str:
    """' Did you mean X?' when something allowed is close to what was received, else nothing."""
    close = difflib.get_close_matches(str(received), list(allowed), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def choose_one_of(choices: Sequence[str], received: str) -> str:
    """The end of a message about a wrong name: the allowed choices, and the one that was probably meant."""
    return f"choose one of {', '.join(choices)}.{nearest(received, choices)}"


def plain_console(*, stderr: bool = False, soft_wrap: bool = False) -> "Console":
    """A terminal on which `[red]` and `:smile:` are ordinary text, not rich markup."""
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False)
