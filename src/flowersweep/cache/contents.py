"""List and remove the contents of the cache folder. Does not import TensorFlow."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowersweep.cache.atomic import read_json
from flowersweep.cache.checkpoints import about_checkpoint
from flowersweep.cache.draws import draws, features_folder, remove_draw
from flowersweep.cache.files import banks, is_free, leftovers, ours, remove, with_companions
from flowersweep.cache.kinds import (
    CHECKPOINTS,
    FEATURES,
    HASHES,
    HEADS,
    PHOTOS,
    PHOTOS_ARCHIVE,
    PIXELS,
    PREFIXES,
    UNREADABLE,
    Kind,
)

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
        *(_bank(folder) for folder in banks(cache)),
        *_files(cache, HEADS, lambda _: "a trained last layer"),
        *_files(cache, CHECKPOINTS, about_checkpoint),
        *_files(cache, PREFIXES, lambda _: "a prefix converted for LiteRT"),
        *_files(cache, HASHES, lambda _: "hashes of a folder's files"),
        *_files(cache, UNREADABLE, lambda _: "which pictures cannot be read"),
        *(Item(LEFTOVER, path, _size(path), _used(path), "incomplete") for path in leftovers(cache)),
        *(Item(DATA_SET, path, _size(path), _used(path), about) for path, about in _data_sets(cache)),
    ]


def prune(cache: Path, max_bytes: int, *, checkpoints: bool = False) -> list[Item]:
    """Delete the least recently used items until the rest takes at most `max_bytes`.

    The last epochs of a feature bank are deleted first. Data sets and features in use count but are not deleted.

    Args:
        cache: The cache folder.
        max_bytes: Maximum size of what is left.
        checkpoints: Also delete checkpoints, which otherwise count but are not deleted.

    Returns:
        What was removed.
    """
    kept = {DATA_SET} if checkpoints else {DATA_SET, CHECKPOINTS.name}
    everything = contents(cache)
    total = sum(item.size for item in everything)
    used = {item.path: item.used for item in everything if item.kind == FEATURES.name}
    candidates = [item for item in everything if item.kind not in {FEATURES.name, *kept}]
    for draw in draws(features_folder(cache)):
        bank_used = used.get(draw.path.parent, draw.used)
        candidates.append(Item(FEATURES.name, draw.path, draw.size, bank_used, f"draw {draw.path.stem}"))
    removed = []
    # The sort is stable, so the draws of one bank keep their order.
    for item in sorted(candidates, key=lambda item: (item.kind != LEFTOVER, item.used)):
        if total <= max_bytes:
            break
        if remove(item.path):
            total -= item.size
            removed.append(item)
    _remove_empty_banks(cache)
    return removed


def clear(cache: Path, *, data_sets: bool = False, checkpoints: bool = False) -> list[Item]:
    """Delete everything that is not in use and can be computed again.

    Args:
        cache: The cache folder.
        data_sets: Also delete downloaded and synthetic data sets.
        checkpoints: Also delete checkpoints: the trainings start at their first epoch.

    Returns:
        What was removed; a bank in use is not counted, although some of its draws may be removed.
    """
    is_asked_for = {DATA_SET: data_sets, CHECKPOINTS.name: checkpoints}
    removed = [item for item in contents(cache) if is_asked_for.get(item.kind, True)]
    for item in removed:
        if item.kind == FEATURES.name:
            for draw in draws(item.path):
                remove_draw(draw.path)
        else:
            remove(item.path)
    _remove_empty_banks(cache)
    return [item for item in removed if not item.path.exists()]


def _files(cache: Path, kind: Kind, about: Callable[[Path], str]) -> Iterator[Item]:
    for path in ours(cache, kind.pattern):
        size = sum(_size(one) for one in with_companions(path))
        yield Item(kind.name, path, size, _used(path), about(path))


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
    known = {PHOTOS: "the published photographs", PHOTOS_ARCHIVE: "their archive"}
    for name, about in known.items():
        if (cache / name).exists():
            yield cache / name, about
    for path in sorted(cache.glob("demo-[0-9]*-[0-9]*")):
        if path.is_dir() and not path.name.endswith(".part"):
            yield path, "synthetic flowers"


def _remove_empty_banks(cache: Path) -> None:
    for folder in banks(cache):
        locks = list(folder.glob("*.lock"))
        if not draws(folder) and not list(folder.glob("*.part")) and all(map(is_free, locks)):
            shutil.rmtree(folder, ignore_errors=True)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    found = [status for file in files if (status := _status(file)) is not None]
    return sum(status.st_size for status in found if stat.S_ISREG(status.st_mode))


def _used(path: Path) -> float:
    status = _status(path)
    return 0.0 if status is None else max(status.st_atime, status.st_mtime)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # a training that ends removes its checkpoint, and others their locks
        return None
