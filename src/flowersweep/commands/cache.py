"""`flowersweep cache`: list, verify and prune the cache."""

import argparse
import datetime as dt
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from flowersweep.cache.contents import Item, clear, contents, prune
from flowersweep.cache.verification import remove_damaged
from flowersweep.commands.parsing.arguments import exit_code
from flowersweep.config import cache_dir
from flowersweep.console import plain_console
from flowersweep.errors import EXIT_FAILED, ConfigError
from flowersweep.tables import Listing
from flowersweep.texts import counted, in_one_line

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

_DESCRIPTION = """\
List, verify and prune the cache: decoded pictures, stored features, trained heads, converted prefixes, and data
sets that were downloaded or generated, all of which can be recreated, and checkpoints of interrupted trainings,
without which these start at their first epoch.

  list     list the content: kind, size, last use (the default)
  verify   compare files with their checksums; remove damaged and incomplete ones
  prune    remove the least recently used items until the cache is not larger than --max-size
  clear    remove everything except data sets; with --data-sets also these

Checkpoints are removed only with --checkpoints. Features that a running process uses are never removed, nor is the
folder outbox/, which has the only copy of records that wait for an MLflow server.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands.

    Args:
        arguments: Arguments as on the command line; None for those of the process.

    Returns:
        The exit code: 0; 1 if `verify` found damaged files or could not read some; 2 for bad input.
    """
    return exit_code(lambda: _run(_parser().parse_args(arguments)))


def _run(given: argparse.Namespace) -> int:
    cache = cache_dir(given.cache or os.environ.get("FLOWERSWEEP_CACHE") or None)
    try:
        return _COMMANDS[given.command](cache, given)
    except OSError as error:
        if error.filename is None:  # of the output
            raise
        raise ConfigError(f"{error.filename or 'the cache'}: {error.strerror}.") from error


def parse_size(text: str) -> int:
    """Convert a size such as "5GB", "500 MB", "1.5GiB" or a number of bytes to bytes.

    Raises:
        ConfigError: The text is not a size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]i?|)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise ConfigError(f"--max-size must be a size like 5GB, 500MB or 1.5GiB, but is {text!r}.")
    unit = match.group(2).capitalize()
    return int(Decimal(match.group(1)) * _UNITS[unit])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flowersweep cache",
        description=_DESCRIPTION,
        epilog="example: python -m flowersweep cache prune --max-size 5GB",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", choices=list(_COMMANDS), default="list", help="see above")
    parser.add_argument(
        "--cache", metavar="DIR", help="the folder (default: FLOWERSWEEP_CACHE, or that of the platform)"
    )
    parser.add_argument("--max-size", metavar="SIZE", help="for prune: 5GB, 500MB, 1.5GiB")
    parser.add_argument("--data-sets", action="store_true", help="for clear: also remove data sets")
    parser.add_argument(
        "--checkpoints", action="store_true", help="for prune and clear: also remove checkpoints"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _list(cache: Path, given: argparse.Namespace) -> int:
    _show(contents(cache), f"Cache {in_one_line(cache)}", given)
    return 0


def _verify(cache: Path, given: argparse.Namespace) -> int:
    found = remove_damaged(cache)
    removed = [str(path) for path in found.removed]
    unread = {str(path): why for path, why in found.unread.items()}
    lines = [f"Checked {counted(found.checked, 'file')} in {cache}; removed {len(removed)}.", *removed]
    lines += [f"Not checked, because it cannot be read ({why}): {path}" for path, why in unread.items()]
    _say({"checked": found.checked, "removed": removed, "unread": unread}, lines, given)
    return EXIT_FAILED if removed or unread else 0


def _prune(cache: Path, given: argparse.Namespace) -> int:
    if given.max_size is None:
        raise ConfigError("prune requires a size; add --max-size SIZE, for example --max-size 5GB.")
    _show(
        prune(cache, parse_size(given.max_size), checkpoints=given.checkpoints),
        f"Removed from {in_one_line(cache)}",
        given,
    )
    return 0


def _clear(cache: Path, given: argparse.Namespace) -> int:
    _show(
        clear(cache, data_sets=given.data_sets, checkpoints=given.checkpoints),
        f"Removed from {in_one_line(cache)}",
        given,
    )
    return 0


_COMMANDS: dict[str, Callable[[Path, argparse.Namespace], int]] = {
    "list": _list,
    "verify": _verify,
    "prune": _prune,
    "clear": _clear,
}


def _show(items: list[Item], title: str, given: argparse.Namespace) -> None:
    if given.json:
        sys.stdout.write(json.dumps([_as_json(item) for item in items], indent=2) + "\n")
        return
    total = sum(item.size for item in items)
    rows = [
        (
            item.kind,
            f"{item.size / 1e6:,.1f}",
            dt.datetime.fromtimestamp(item.used).astimezone().strftime("%Y-%m-%d %H:%M"),
            in_one_line(item.about),
            _short(item.path.name),
        )
        for item in items
    ]
    Listing(
        ("kind", "MB", "last use", "what", "name"),
        rows,
        title=f"{title}: {_megabytes(total)}" if items else f"{title}: nothing",
        right={"MB"},
        wrapping={"kind", "what"},
        optional=("name",),
    ).show(plain_console())


def _as_json(item: Item) -> dict[str, Any]:
    used = dt.datetime.fromtimestamp(item.used, dt.UTC).isoformat(timespec="seconds")
    return {
        "kind": item.kind,
        "path": str(item.path),
        "bytes": item.size,
        "last_use": used,
        "about": item.about,
    }


def _say(value: dict[str, Any], lines: list[str], given: argparse.Namespace) -> None:
    text = json.dumps(value, indent=2) if given.json else "\n".join(lines)
    sys.stdout.write(f"{text}\n")


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
