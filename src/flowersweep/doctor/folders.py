"""Check of folders: whether they are writable, and the free space."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from flowersweep.cache.atomic import cache_errors
from flowersweep.cache.contents import contents
from flowersweep.cache.kinds import CHECKPOINTS
from flowersweep.config import cache_dir
from flowersweep.config.locations import checkpoints_dir
from flowersweep.config.models import FrozenConfig
from flowersweep.config.schema import Config
from flowersweep.doctor.finding import Finding, Verdict, broken
from flowersweep.errors import DataError

# A run's pictures, features and model take a few hundred megabytes.
LITTLE_ROOM = 1e9


def check_cache(config: Config) -> Iterator[Finding]:
    """Check whether the cache is writable, its size, and the free space.

    Raises:
        DataError: The cache cannot be written to.
    """
    cache = cache_dir(config.paths.cache)
    with cache_errors(cache):
        try_to_write(cache)
    size = sum(item.size for item in contents(cache))
    free = free_bytes(cache)
    state = f"has {gigabytes(size)}" if cache.exists() else "is created by the first run"
    found = f"{cache} {state}, {gigabytes(free)} free"
    bank = config.bank.max_gigabytes * 1e9
    if free < LITTLE_ROOM:
        fix = "free some space with python -m flowersweep cache prune --max-size 1GB, or choose another folder with paths.cache"
        yield Finding("cache", found, Verdict.FIX, fix)
    elif isinstance(config.model, FrozenConfig) and config.bank.enabled and free + size < bank:
        fix = f"the feature bank may take {gigabytes(bank)}; limit it with bank.max_gigabytes={int(free / 2e9) or 1}"
        yield Finding("cache", found, Verdict.NOTE, fix)
    else:
        yield Finding("cache", found)


def check_checkpoints(config: Config) -> Iterator[Finding]:
    """Check whether a folder of its own for checkpoints is writable, and the free space; without one, trainings go on."""
    if config.paths.checkpoints is None:
        return
    folder = checkpoints_dir(config.paths) / CHECKPOINTS.folder
    try:
        with cache_errors(folder):
            try_to_write(folder)
    except DataError as error:
        yield replace(broken("checkpoints", error), verdict=Verdict.NOTE)
        return
    free = free_bytes(folder)
    found = f"{folder}{'' if folder.exists() else ' is created by the first run'}, {gigabytes(free)} free"
    if free < LITTLE_ROOM:
        fix = "free some space there, or choose another folder with paths.checkpoints"
        yield Finding("checkpoints", found, Verdict.NOTE, fix)
    else:
        yield Finding("checkpoints", found)


def try_to_write(folder: Path) -> None:
    """Write a temporary file to a folder, or to the one in which it would be created.

    Raises:
        OSError: The file cannot be written.
    """
    with tempfile.TemporaryFile(dir=_existing(folder)) as file:
        file.write(bytes(4096))


def free_bytes(folder: Path) -> int:
    """The free space on the disk on which a folder is or would be created."""
    return shutil.disk_usage(_existing(folder)).free


def gigabytes(size: float) -> str:
    """A size in readable form: 1.3 GB, 20 MB."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
