"""Which files in the cache folder are flowersweep's, which of them are left over or in use, and how they are removed.

Only files that flowersweep itself writes there are considered, so that nothing is lost in a wrong folder.
"""

import re
import shutil
import time
from pathlib import Path

from filelock import FileLock, Timeout

from flowersweep.cache.draws import remove_draw
from flowersweep.cache.kinds import ALL, FEATURES, PHOTOS, PHOTOS_ARCHIVE, PIXELS

_DIGITS = 32
_DIGEST = re.compile(f"[0-9a-f]{{{_DIGITS}}}")
# The temporary files of `write_json`, which holds no lock: they count as left over after this many seconds.
_UNLOCKED = re.compile(r"\.json\.[^.]+\.part$")
_ABANDONED = 3600.0


def ours(cache: Path, pattern: str) -> list[Path]:
    """Files that match a pattern and have a digest as their name, as flowersweep's have; others are the user's own."""
    return [path for path in sorted(cache.glob(pattern)) if _DIGEST.match(path.name)]


def banks(cache: Path) -> list[Path]:
    """The folders of feature banks."""
    return [
        path for path in ours(cache, f"{FEATURES.folder}/*") if path.is_dir() and len(path.name) == _DIGITS
    ]


def with_companions(path: Path) -> list[Path]:
    """A file, the note about it and its lock."""
    note = [path.with_suffix(".json")] if path.suffix == PIXELS.ending else []
    return [path, *note, path.with_name(f"{path.name}.lock")]


def leftovers(cache: Path) -> list[Path]:
    """Incomplete files of killed processes: no process is writing them."""
    patterns = (f"{PHOTOS}.part", f"{PHOTOS_ARCHIVE}.part", "demo-*-*.part")
    found = [path for pattern in patterns for path in sorted(cache.glob(pattern))]
    found += [path for kind in ALL for path in ours(cache, f"{kind.folder}/*.part")]
    found += [path for bank in banks(cache) for path in sorted(bank.glob("*.part"))]
    return [path for path in found if not _is_being_written(path)]


def _is_being_written(part: Path) -> bool:
    if not _UNLOCKED.search(part.name):
        return not is_free(_lock_of(part))
    try:
        return time.time() - part.stat().st_mtime < _ABANDONED
    except FileNotFoundError:  # it is complete by now
        return True


def _lock_of(path: Path) -> Path:
    """The lock under which a file or folder is written."""
    name = path.name.removesuffix(".part")
    return path.with_name(f"{PHOTOS if name == PHOTOS_ARCHIVE else name}.lock")


def is_free(lock_file: Path) -> bool:
    """Whether no process holds a lock."""
    if not lock_file.exists():
        return True
    try:
        with FileLock(lock_file, blocking=False):
            return True
    except Timeout:
        return False


def remove(path: Path) -> bool:
    """Delete a file with its companions, or a folder; return whether it is removed."""
    if path.parent.parent.name == FEATURES.folder and path.suffix == FEATURES.ending:
        return remove_draw(path)
    if not is_free(_lock_of(path)):
        return False
    if path.is_dir():
        shutil.rmtree(path)
        return True
    # The note first: without it the file does not count as complete.
    for one in reversed(with_companions(path)):
        one.unlink(missing_ok=True)
    return True
