"""Check of folders: whether they are writable, the free space, and the kind of file system."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flowersweep.cache.atomic import cache_errors
from flowersweep.cache.contents import contents
from flowersweep.config import cache_dir
from flowersweep.config.models import FrozenConfig
from flowersweep.config.schema import Config
from flowersweep.doctor.finding import Finding, Verdict

# A run's pictures, features and model take a few hundred megabytes.
LITTLE_ROOM = 1e9

# File systems of other machines: SQLite's locks and its write-ahead log are not reliable there.
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb3"}
)  # fmt: skip
_MOUNTS = Path("/proc/mounts")


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


def network_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The kind of network file system of a path; None if it is on a local disk.

    Args:
        path: A file or folder; need not exist.
        mounts: The list of mounted file systems, as written by Linux; None is returned if there is no such list.
    """
    if not mounts.is_file():
        return None
    path = path.absolute().resolve()
    kinds = {}
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, point, kind, *_ = line.split()
        kinds[Path(point.replace("\\040", " "))] = kind  # a later mount hides an earlier one
    nearest = next((folder for folder in (path, *path.parents) if folder in kinds), None)
    kind = kinds[nearest] if nearest is not None else ""
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def gigabytes(size: float) -> str:
    """A size in readable form: 1.3 GB, 20 MB."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
