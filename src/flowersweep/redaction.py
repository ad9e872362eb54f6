"""Keep passwords out of what is shown and stored: those in addresses, and those in the environment.

All output goes through `redacted`: errors, log lines, what MLflow and Optuna store, and Hydra's files. It recognizes
addresses with a password by their form, and the passwords in use, which a library's message may spell differently.
"""

import base64
import functools
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from flowersweep.texts import printable

STARS = "***"

# A password may contain @, : and /, so it extends to the last @ of an address.
_ADDRESS = re.compile(r"://([^:/@\s\[]*):((?:(?!://).)+)@", re.DOTALL)
_SHOWN = re.compile(r"://([^:/@\s\[]*):((?:(?!://)[^\s'\"])+)@")
_KEYS = r"(?:\w*password|passwd|pwd|\w*token|\w*secret|api_?key|sig)"
_QUERY = re.compile(rf"([?&;]{_KEYS}=)(\{{[^}}]*\}}|[^&;\s'\"]+)", re.IGNORECASE)
# The same inside one value of a query, as in ?odbc_connect=UID%3Dme%3BPWD%3Dsecret%3B.
_QUERY_INSIDE = re.compile(
    rf"((?:=|%3B|%26|%3F){_KEYS}%3D)(%7B(?:(?!%7D).)*%7D|(?:(?!%3B)[^&;\s'\"])+)", re.IGNORECASE
)
_SCHEME, _HOST = re.compile(r"[\w+.-]{1,30}$"), re.compile(r"[^\s,'\"\]]*")
# As in http://127.0.0.1:5000/a@b, where the @ belongs to the path.
_PORT = re.compile(r"\d{1,5}[/?#\s]")
_NAME = re.compile(
    r"(?:password|passwd|mysql_pwd|(?:\b|_)pass|token|secret|secret_key|access_key|api_?key|private_key|connection_string)$",
    re.IGNORECASE,
)
_LONG, _SHORT, _NUMBER = (
    6,
    4,
    10,
)  # minimum lengths of words, of texts with other characters, and of numbers

# Words that occur in commands, addresses and file names: replacing them by stars would hide nothing and break these.
_PUBLIC = frozenset(
    {
        "flowersweep",
        "hydra",
        "keras",
        "mlflow",
        "mysql",
        "optuna",
        "postgres",
        "postgresql",
        "python",
        "sqlite",
        "tensorflow",
    }
)
_PLACES = ("HOME", "LOGNAME", "PWD", "USER")

_learned: dict[str, None] = {}
_told: dict[str, None] = {}


def learn(address: str | None) -> None:
    """Remember the password of an address that will be used, if it has one."""
    if address is not None:
        _learned.update(dict.fromkeys(_in_address(address)))


def tell(names: Iterable[str]) -> None:
    """Remember names that must be shown unchanged even if one is also a password: those of classes."""
    _told.update(dict.fromkeys(name.lower() for name in names))


def redacted(text: str) -> str:
    """A text with stars instead of every password.

    Passwords are found by the form of their address, and those in use (from the command line, the environment and
    `learn`) anywhere, also percent-encoded. One that cannot be distinguished from other text is found by the form only:
    a short one, the user's name, a package, a class, or a part of the current directory's path.
    """
    known = _in_use(tuple(sys.orig_argv), tuple(os.environ.items()), tuple(_learned), tuple(_told))
    if known is not None:
        text = known.sub(STARS, text)
    for shape in (_QUERY, _QUERY_INSIDE):
        text = shape.sub(rf"\1{STARS}", text)
    return _SHOWN.sub(_starred, text)


def redacted_tree(value: Any) -> Any:
    """The same for every text in nested mappings and lists; numbers stay numbers."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: redacted_tree(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted_tree(inner) for inner in value]
    return value


class Formatter(logging.Formatter):
    """Formats log lines, including tracebacks, without passwords and control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return printable(redacted(super().format(record)))


def _starred(match: "re.Match[str]") -> str:
    return match.group() if _has_port(match) else f"://{match.group(1)}:{STARS}@"


def _has_port(match: "re.Match[str]") -> bool:
    """Whether what looks like a password is a port and a path; for databases it is treated as a password."""
    is_http = match.string[max(0, match.start() - 5) : match.start()].endswith(("http", "https"))
    return is_http and _PORT.match(match.group(2)) is not None


@functools.lru_cache(maxsize=8)
def _in_use(
    arguments: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    learned: tuple[str, ...],
    told: tuple[str, ...],
) -> "re.Pattern[str] | None":
    """A pattern that matches the passwords in use, in all their spellings; None if there are none."""
    found = dict.fromkeys(learned)
    for text in (*arguments, *(value for _, value in environment)):
        found.update(dict.fromkeys(_in_address(text)))
    for name, value in environment:
        if _NAME.search(name) and _tells(value):
            found.update(dict.fromkeys(_spellings(value)))
    public = _PUBLIC.union(told, *(_words(value) for name, value in environment if name in _PLACES))
    longest_first = sorted((one for one in found if one.lower() not in public), key=len, reverse=True)
    if not longest_first:
        return None
    # Inside a word it would be another word; an escape before it, as in %3A or \n, is not part of it.
    before, after = r"(?:(?<!\w)|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))", r"(?!\w)"
    return re.compile(f"{before}(?:{'|'.join(map(re.escape, longest_first))}){after}")


def _in_address(text: str) -> Iterator[str]:
    """The passwords in a text that is or contains an address, in all spellings."""
    for match in _ADDRESS.finditer(text):
        user = unquote(match.group(1))
        scheme, host = _SCHEME.search(text, 0, match.start()), _HOST.match(text, match.end())
        public = unquote(f"{scheme and scheme.group()} {user} {host and host.group()}").lower()
        if _has_port(match):
            continue
        # If an @ follows in the path, the password ends before it: as in http://me:password@host/a@b.
        authority = re.split(r"[/?#]", match.group(2), maxsplit=1)[0]
        for raw in dict.fromkeys((match.group(2), authority.rpartition("@")[0])):
            password = unquote(raw)
            if password.lower() not in public and _tells(password):
                yield from _spellings(raw)
                yield base64.b64encode(f"{user}:{password}".encode()).decode().rstrip("=")
    for match in (*_QUERY.finditer(text), *_QUERY_INSIDE.finditer(text)):
        password = unquote(match.group(2)).strip("{}")
        if _tells(password):
            yield from _spellings(match.group(2))
            yield from _spellings(password)


def _words(path: str) -> set[str]:
    return set(re.split(r"[/\\]", path.lower()))


def _tells(password: str) -> bool:
    """Whether a password can be distinguished from other words and numbers."""
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
