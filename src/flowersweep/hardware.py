"""What this machine has: processors, memory, GPUs, and disks or file systems of other machines."""

import math
import os
from pathlib import Path

import psutil

# File systems of other machines: SQLite's locks and its write-ahead log are not reliable there.
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb3"}
)  # fmt: skip
_MOUNTS = Path("/proc/mounts")
# The limits of a container (cgroup v2).
_CONTAINER = Path("/sys/fs/cgroup")


def available_processors(container: Path = _CONTAINER) -> int:
    """How many processors this process may use, including the limit of a container.

    A container with a limit sees all processors of its machine, and is paused if it uses more than its share.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    time, _, period = _limit(container / "cpu.max").partition(" ")
    return usable if time == "max" else min(usable, math.ceil(int(time) / int(period)))


def available_memory(container: Path = _CONTAINER) -> int:
    """Available memory in bytes, including the limit of a container.

    What a container keeps of files that it has read counts as used, but is given back when memory is needed.
    """
    available = int(psutil.virtual_memory().available)
    if (limit := _limit(container / "memory.max")) == "max":
        return available
    used = int(_limit(container / "memory.current")) - _cached(container / "memory.stat")
    return min(available, max(0, int(limit) - used))


def _limit(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.is_file() else "max"


def _cached(path: Path) -> int:
    """How many bytes of files can be dropped from memory; 0 if it is not known."""
    lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
    return next((int(number) for name, number in map(str.split, lines) if name == "inactive_file"), 0)


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU; imports TensorFlow."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def network_file_system(path: Path, mounts: Path | None = None) -> str | None:
    """The kind of network file system of a path; None if it is on a local disk.

    Args:
        path: A file or folder; need not exist.
        mounts: The list of mounted file systems, as written by Linux; None for that of this process. Where there is no
            such list, None is returned.
    """
    mounts = mounts or _MOUNTS
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
