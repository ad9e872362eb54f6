"""Compare the files of the cache with their checksums. Does not import TensorFlow."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from flowersweep.cache.archives import is_whole_archive
from flowersweep.cache.draws import draws, features_folder, is_whole
from flowersweep.cache.files import leftovers, ours, remove
from flowersweep.cache.kinds import CHECKPOINTS, HEADS, PIXELS


@dataclass(frozen=True)
class Verified:
    """The result of comparing files with their checksums.

    Attributes:
        checked: How many files were checked.
        removed: Those that were damaged or incomplete.
        unread: Those that could not be read, with the reason; they may be intact.
    """

    checked: int
    removed: list[Path]
    unread: dict[Path, str]


def remove_damaged(cache: Path) -> Verified:
    """Compare files with their checksums; delete those that differ, and incomplete files.

    Files that cannot be read stay. Converted prefixes are left out: at each use, they are compared with their checksum,
    and their output with TensorFlow's.
    """
    checked = 0
    removed: list[Path] = []
    unread: dict[Path, str] = {}
    for path, is_whole_file in _checks(cache):
        try:
            whole = is_whole_file(path)
        except FileNotFoundError:
            continue  # another process removed it
        except OSError as error:
            unread[path] = error.strerror or str(error)
            continue
        checked += 1
        if not whole and remove(path):
            removed.append(path)
    removed += [path for path in leftovers(cache) if remove(path)]
    return Verified(checked, removed, unread)


def _checks(cache: Path) -> Iterator[tuple[Path, Callable[[Path], bool]]]:
    """Each file that has a checksum, and what compares it."""
    for path in ours(cache, PIXELS.pattern):
        yield path, _are_whole_pictures
    for draw in draws(features_folder(cache)):
        yield draw.path, is_whole
    for path in (*ours(cache, HEADS.pattern), *ours(cache, CHECKPOINTS.pattern)):
        yield path, is_whole_archive


def _are_whole_pictures(path: Path) -> bool:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        noted = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not complete without it
        return False
    return isinstance(noted, dict) and noted.get("sha256") == found
