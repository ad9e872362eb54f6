"""What this machine has: processors, GPUs, and disks or file systems of other machines."""

import os
from pathlib import Path

# File systems of other machines: SQLite's locks and its write-ahead log are not reliable there.
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre", "nfs", "nfs4", "smb3"}
)  # fmt: skip
_MOUNTS = Path("/proc/mounts")


def available_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
