"""Find, check and remove the contents of the cache folder. Does not import TensorFlow.

Only files that flowersweep itself writes there are considered, so that nothing is lost in a wrong folder.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flowersweep.cache.atomic import read_json
from flowersweep.cache.checkpoints import about_checkpoint
from flowersweep.cache.draws import draws, features_folder, is_whole, remove_draw
from flowersweep.cache.heads import is_whole_head
from flowersweep.cache.kinds import CHECKPOINTS, FEATURES, HASHES, HEADS, PIXELS, PREFIXES, UNREADABLE, Kind

_DIGITS = 32
_DIGEST = re.compile(f"[0-9a-f]{{{_DIGITS}}}")
DATA_SET = "data set"  # downloaded or synthetic, not computed from something else
LEFTOVER = "leftover"  # incomplete files of a killed process


@dataclass(frozen=True)
class Item:
    """One item in the cache.

    Attributes:
        kind: pictures, features, head, checkpoint, prefix, record, leftover or data set.
        path: A file or a folder.
        size: Bytes, lock files and notes included.
        used: Time of the last use, seconds since 1970, as far as the file system records it.
        about: A short description.
    """

    kind: str
    path: Path
    size: int
    used: float
    about: str


def contents(cache: Path) -> list[Item]:
    """Everything in the cache, by kind; a feature bank is one item."""
    return [
        *_files(cache, PIXELS, _about_pictures),
        *(_bank(folder) for folder in _banks(cache)),
        *_files(cache, HEADS, lambda _: "a trained last layer"),
        *_files(cache, CHECKPOINTS, about_checkpoint),
        *_files(cache, PREFIXES, lambda _: "a prefix converted for LiteRT"),
        *_files(cache, HASHES, lambda _: "hashes of a folder's files"),
        *_files(cache, UNREADABLE, lambda _: "which pictures cannot be read"),
        *(Item(LEFTOVER, path, _size(path), _used(path), "incomplete") for path in _leftovers(cache)),
        *(Item(DATA_SET, path, _size(path), _used(path), about) for path, about in _data_sets(cache)),
    ]


def remove_damaged(cache: Path) -> tuple[int, list[Path]]:
    """Compare all files that have a checksum with it; delete those that differ, and incomplete files.

    Converted prefixes have none: at each use, their output is compared with TensorFlow's.

    Returns:
        How many files were checked, and which were removed.
    """
    checked, removed = 0, []
    for path, whole in _checks(cache):
        checked += 1
        if not whole and _remove(path):
            removed.append(path)
    leftovers = [path for path in _leftovers(cache) if _remove(path)]
    return checked, removed + leftovers


def prune(cache: Path, max_bytes: int) -> list[Item]:
    """Delete the least recently used items until the rest takes at most `max_bytes`.

    The last epochs of a feature bank are deleted first. Data sets and features in use count but are not deleted.

    Returns:
        What was removed.
    """
    everything = contents(cache)
    total = sum(item.size for item in everything)
    used = {item.path: item.used for item in everything if item.kind == FEATURES.name}
    candidates = [item for item in everything if item.kind not in {FEATURES.name, DATA_SET}]
    for draw in draws(features_folder(cache)):
        bank_used = used.get(draw.path.parent, draw.used)
        candidates.append(Item(FEATURES.name, draw.path, draw.size, bank_used, f"draw {draw.path.stem}"))
    removed = []
    # The sort is stable, so the draws of one bank keep their order.
    for item in sorted(candidates, key=lambda item: (item.kind != LEFTOVER, item.used)):
        if total <= max_bytes:
            break
        if _remove(item.path):
            total -= item.size
            removed.append(item)
    _remove_empty_banks(cache)
    return removed


def clear(cache: Path, *, data_sets: bool) -> list[Item]:
    """Delete everything that is not in use.

    Args:
        cache: The cache folder.
        data_sets: Also delete downloaded and synthetic data sets.

    Returns:
        What was removed; a bank in use is not counted, although some of its draws may be removed.
    """
    removed = []
    for item in contents(cache):
        if item.kind == FEATURES.name:
            for draw in draws(item.path):
                remove_draw(draw.path)
        elif item.kind != DATA_SET or data_sets:
            _remove(item.path)
        else:
            continue
        removed.append(item)
    _remove_empty_banks(cache)
    return [item for item in removed if not item.path.exists()]


def _checks(cache: Path) -> Iterator[tuple[Path, bool]]:
    """Each file that has a checksum, and whether the checksum is right."""
    for path in _ours(cache, PIXELS.pattern):
        noted = (read_json(path.with_suffix(".json")) or {}).get("sha256")
        with path.open("rb") as file:
            yield path, hashlib.file_digest(file, "sha256").hexdigest() == noted
    for draw in draws(features_folder(cache)):
        try:
            yield draw.path, is_whole(draw.path)
        except FileNotFoundError:
            continue  # another process evicted it
    for path in (*_ours(cache, HEADS.pattern), *_ours(cache, CHECKPOINTS.pattern)):
        yield path, is_whole_head(path)


def _ours(cache: Path, pattern: str) -> list[Path]:
    """Files that match a pattern and have a digest as their name, as flowersweep's have; others are the user's own."""
    return [path for path in sorted(cache.glob(pattern)) if _DIGEST.match(path.name)]


def _banks(cache: Path) -> list[Path]:
    return [
        path for path in _ours(cache, f"{FEATURES.folder}/*") if path.is_dir() and len(path.name) == _DIGITS
    ]


def _files(cache: Path, kind: Kind, about: Callable[[Path], str]) -> Iterator[Item]:
    for path in _ours(cache, kind.pattern):
        size = sum(_size(one) for one in _with_companions(path))
        yield Item(kind.name, path, size, _used(path), about(path))


def _with_companions(path: Path) -> list[Path]:
    """A file, the note about it and its lock."""
    note = [path.with_suffix(".json")] if path.suffix == PIXELS.ending else []
    return [path, *note, path.with_name(f"{path.name}.lock")]


def _about_pictures(path: Path) -> str:
    fingerprint, size, *how = path.stem.split("-")
    resized = f", {how[0]}" if len(how) > 1 else ""
    return f"data {fingerprint[:8]} decoded at {size} pixels{resized}"


def _bank(folder: Path) -> Item:
    files = draws(folder)
    key: dict[str, Any] = read_json(folder / "key.json") or {}
    augmentation = key.get("augmentation") or {"name": "no augmentation"}
    about = (
        f"{len(files)} {'draw' if len(files) == 1 else 'draws'} of {key.get('pictures', '?')} pictures at {key.get('image_size', '?')} pixels, "
        f"{augmentation.get('name')}, {key.get('network', '?')} {key.get('dtype', '?')}, {key.get('engine', '?')}"
    )
    used = max((draw.used for draw in files), default=_used(folder))
    return Item(FEATURES.name, folder, _size(folder), used, about)


def _data_sets(cache: Path) -> Iterator[tuple[Path, str]]:
    known = {"flower_photos": "the published photographs", "flower_photos.tgz": "their archive"}
    for name, about in known.items():
        if (cache / name).exists():
            yield cache / name, about
    for path in sorted(cache.glob("demo-[0-9]*-[0-9]*")):
        if path.is_dir() and not path.name.endswith(".part"):
            yield path, "synthetic flowers"


def _leftovers(cache: Path) -> list[Path]:
    """Incomplete files of killed processes: no process holds their locks."""
    found = [
        path for pattern in ("flower_photos*.part", "demo-*-*.part") for path in sorted(cache.glob(pattern))
    ]
    found += [
        path
        for kind in (PIXELS, HEADS, CHECKPOINTS, PREFIXES)
        for path in _ours(cache, f"{kind.folder}/*.part")
    ]
    found += [path for bank in _banks(cache) for path in sorted(bank.glob("*.part"))]
    return [path for path in found if _is_free(path.with_name(f"{path.name.removesuffix('.part')}.lock"))]


def _is_free(lock_file: Path) -> bool:
    if not lock_file.exists():
        return True
    try:
        with FileLock(lock_file, blocking=False):
            return True
    except Timeout:
        return False


def _remove(path: Path) -> bool:
    """Delete a file with its companions, or a folder; return whether it is removed."""
    if path.parent.parent.name == FEATURES.folder and path.suffix == FEATURES.ending:
        return remove_draw(path)
    if not _is_free(path.with_name(f"{path.name}.lock")):
        return False
    if path.is_dir():
        shutil.rmtree(path)
        return True
    # The note first: without it the file does not count as complete.
    for one in reversed(_with_companions(path)):
        one.unlink(missing_ok=True)
    return True


def _remove_empty_banks(cache: Path) -> None:
    for folder in _banks(cache):
        locks = list(folder.glob("*.lock"))
        if not draws(folder) and not list(folder.glob("*.part")) and all(map(_is_free, locks)):
            shutil.rmtree(folder, ignore_errors=True)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _used(path: Path) -> float:
    status = path.stat()
    return max(status.st_atime, status.st_mtime)
