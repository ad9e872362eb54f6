"""Keep passwords out of what is shown and stored: those in addresses, and those that the environment holds.

What leaves the program goes through `redacted`: errors, log lines, what MLflow and Optuna keep, and Hydra's files. It knows
the shape of an address with a password, and the passwords in use, which a library's message may spell in other ways.
"""

import base64
import functools
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

STARS = "***"

# A password may itself hold @, : and /, so that it reaches to the last @ of an address.
_ADDRESS = re.compile(r"://([^:/@\s]*):((?:(?!://).)+)@", re.DOTALL)
_SHOWN = re.compile(r"://([^:/@\s]*):((?:(?!://)[^\s'\"])+)@")
_QUERY = re.compile(
    r"([?&;](?:\w*password|passwd|pwd|\w*token|\w*secret|api_?key|sig)=)([^&;\s'\"]+)", re.IGNORECASE
)
_SCHEME, _HOST = re.compile(r"[\w+.-]{1,30}$"), re.compile(r"[^\s,'\"\]]*")
# As in http://127.0.0.1:5000/a@b, where the @ belongs to the path.
_PORT = re.compile(r"\d{1,5}[/?#\s]")
_NAME = re.compile(
    r"(?:password|passwd|mysql_pwd|token|secret|secret_key|access_key|api_?key|private_key|connection_string)$",
    re.IGNORECASE,
)
_LONG, _SHORT, _NUMBER = (
    6,
    4,
    10,
)  # least lengths of words, of what has other characters in it, and of numbers

_learned: dict[str, None] = {}


def learn(address: str | None) -> None:
    """Remember the password of an address that is going to be used, if it has one."""
    if address is not None:
        _learned.update(dict.fromkeys(_in_address(address)))


def redacted(text: str) -> str:
    """A text with stars in place of every password.

    Passwords are found by the shape of their address, and those in use (of the command line, the environment and what was
    learned) wherever they stand, also percent-encoded. One that is too common a word to be told from other text is found
    by the shape only: a short one, or the user's name once more.
    """
    known = _in_use(tuple(sys.orig_argv), tuple(os.environ.items()), tuple(_learned))
    if known is not None:
        text = known.sub(STARS, text)
    return _QUERY.sub(rf"\1{STARS}", _SHOWN.sub(_starred, text))


def redacted_tree(value: Any) -> Any:
    """The same of every text in nested mappings and lists; numbers stay numbers."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: redacted_tree(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted_tree(inner) for inner in value]
    return value


class Formatter(logging.Formatter):
    """Log lines without passwords, their tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return redacted(super().format(record))


def _starred(match: "re.Match[str]") -> str:
    return match.group() if _has_port(match) else f"://{match.group(1)}:{STARS}@"


def _has_port(match: "re.Match[str]") -> bool:
    """Whether what looks like a password is a port and a path; of databases it is read as a password."""
    is_http = match.string[max(0, match.start() - 5) : match.start()].endswith(("http", "https"))
    return is_http and _PORT.match(match.group(2)) is not None


@functools.lru_cache(maxsize=8)
def _in_use(
    arguments: tuple[str, ...], environment: tuple[tuple[str, str], ...], learned: tuple[str, ...]
) -> "re.Pattern[str] | None":
    """What finds the passwords in use, in all their spellings; None where there are none."""
    found = dict.fromkeys(learned)
    for text in (*arguments, *(value for _, value in environment)):
        found.update(dict.fromkeys(_in_address(text)))
    for name, value in environment:
        if _NAME.search(name) and _tells(value):
            found.update(dict.fromkeys(_spellings(value)))
    if not found:
        return None
    longest_first = sorted(found, key=len, reverse=True)
    # Within a word it would be another word; an escape before it, as in %3A or \n, is none of it.
    before, after = r"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))", r"(?!\w)"
    return re.compile(f"{before}(?:{'|'.join(map(re.escape, longest_first))}){after}")


def _in_address(text: str) -> Iterator[str]:
    """The passwords in a text that is an address or holds some, in all spellings."""
    for match in _ADDRESS.finditer(text):
        user, password = map(unquote, match.groups())
        scheme, host = _SCHEME.search(text, 0, match.start()), _HOST.match(text, match.end())
        public = unquote(f"{scheme and scheme.group()} {user} {host and host.group()}").lower()
        if not _has_port(match) and password.lower() not in public and _tells(password):
            yield from _spellings(match.group(2))
            yield base64.b64encode(f"{user}:{password}".encode()).decode().rstrip("=")
    for match in _QUERY.finditer(text):
        if _tells(match.group(2)):
            yield from _spellings(match.group(2))


def _tells(password: str) -> bool:
    """Whether a password can be told from other words and numbers."""
    plain = unquote(password)
    if plain.isdigit():
        return len(plain) >= _NUMBER
    return len(plain) >= (_LONG if plain.isalnum() else _SHORT)


def _spellings(password: str) -> Iterator[str]:
    plain = unquote(password)
    encoded = [password, quote(plain), quote(plain, safe=""), quote_plus(plain), quote(password)]
    yield from encoded
    yield from (re.sub(r"%..", lambda code: code.group().lower(), one) for one in encoded)
    yield plain
    yield from (json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1], repr(plain)[1:-1])
    yield shlex.quote(plain).strip("'")
