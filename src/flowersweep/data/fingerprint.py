"""The fingerprint of a data set's content, by which everything computed from it is found again."""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flowersweep.cache.atomic import optional, read_json, write_json
from flowersweep.cache.kinds import HASHES
from flowersweep.data.catalogue import Catalogue
from flowersweep.progress import progress

# A file changed twice within one tick of the file system's clock keeps its times, so hashes of files that
# changed this recently are not stored. FAT has the coarsest clock, two seconds.
_SETTLED_NS = 2_000_000_000

_AT_ONCE = 1024  # files that wait for a thread, which limits the memory

# Stands for the content of such a file; decoding it reports the reason. Never stored: the error may pass.
_MISSING = "cannot be read"


def fingerprint(catalogue: Catalogue, cache: Path, *, names: Catalogue | None = None) -> str:
    """Hash the class names, the relative paths and the bytes of all pictures.

    Does not depend on the location of the folder. The hash of each file is stored in `cache` with the file's
    size and times, so a second call only reads those.

    Args:
        catalogue: The pictures.
        cache: The cache folder.
        names: The same pictures in the same order under the names to hash, if these are not those of the files.

    Returns:
        32 hexadecimal digits (MLflow cuts dataset digests at 36).

    Raises:
        DataError: The cache cannot be written to.
    """
    memory = _memory(catalogue, cache)
    known = read_json(memory) or {}
    stamps = _stamps(catalogue)
    stale = [i for i, path in enumerate(catalogue.paths) if _remembered(known, path, stamps[i]) is None]
    hashes = {
        path: _remembered(known, path, stamp) for path, stamp in zip(catalogue.paths, stamps, strict=True)
    }
    hashes.update(_contents(catalogue, [catalogue.paths[i] for i in stale]))
    if stale:
        now = time.time_ns()
        settled = {
            path: [*stamp, hashes[path]]
            for path, stamp in zip(catalogue.paths, stamps, strict=True)
            if stamp is not None and hashes[path] != _MISSING and now - max(stamp[1:]) > _SETTLED_NS
        }
        if settled != known:
            with optional("The pictures are hashed again next time."):
                write_json(memory, settled)
    named = names or catalogue
    pairs = zip(named.paths, catalogue.paths, strict=True)
    return _digest([list(named.class_names), *([path, hashes[own]] for path, own in pairs)])


def possible_copies(catalogue: Catalogue, cache: Path) -> dict[str, str]:
    """A digest of the content of each picture with the same length as another one: only these can be equal.

    Reads what `fingerprint` stored, and writes nothing.

    Returns:
        The digests by path; pictures that cannot be read are left out.
    """
    known = read_json(_memory(catalogue, cache)) or {}
    stamps = dict(zip(catalogue.paths, _stamps(catalogue), strict=True))
    lengths = Counter(stamp[0] for stamp in stamps.values() if stamp is not None)
    alike = [path for path, stamp in stamps.items() if stamp is not None and lengths[stamp[0]] > 1]
    found = {path: _remembered(known, path, stamps[path]) for path in alike}
    stale = [path for path, content in found.items() if content is None]
    found.update(_contents(catalogue, stale))
    return {path: content for path, content in found.items() if content is not None and content != _MISSING}


def _memory(catalogue: Catalogue, cache: Path) -> Path:
    """The path under which the hashes of a folder's files are stored."""
    return HASHES.path(cache, _digest([os.fspath(catalogue.root)]))


def _stamps(catalogue: Catalogue) -> list[list[int] | None]:
    """The stamp of each picture."""
    stamps = []
    with progress("Looking for changes", len(catalogue)) as advance:
        for paths in _batches(catalogue.paths):
            stamps += [_stamp(catalogue.root / path) for path in paths]
            advance(len(paths))
    return stamps


def _contents(catalogue: Catalogue, stale: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The paths of some pictures, each with a digest of its content."""
    with progress("Hashing pictures", len(stale)) as advance, ThreadPoolExecutor() as pool:
        for paths in _batches(stale):
            yield from zip(paths, pool.map(_content, (catalogue.root / path for path in paths)), strict=True)
            advance(len(paths))


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE))


def _stamp(path: Path) -> list[int] | None:
    """Size, time of modification and time of the last change of the entry; None if there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    # A copy may preserve an old modification time (cp -p, tar), but never an old change time.
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _remembered(known: dict[str, Any], path: str, stamp: list[int] | None) -> str | None:
    entry = known.get(path)
    if stamp is None or not isinstance(entry, list) or entry[:-1] != stamp or not isinstance(entry[-1], str):
        return None
    return None if entry[-1] == _MISSING else entry[-1]  # earlier versions stored it


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    except OSError:
        return _MISSING


def _digest(value: list[Any]) -> str:
    # JSON escapes file names that are not valid text; encoding them would fail.
    return hashlib.blake2b(json.dumps(value).encode("ascii"), digest_size=16).hexdigest()
