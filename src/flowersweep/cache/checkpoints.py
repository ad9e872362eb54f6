"""Files of checkpoints: the state of a training after an epoch, as named groups of arrays and a description in JSON."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowersweep.cache.archives import means_damage
from flowersweep.cache.atomic import locked, new_file
from flowersweep.cache.kinds import CHECKPOINTS

Arrays = Sequence[npt.NDArray[Any]]
_ABOUT = "about"


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        about: Values for JSON.
        arrays: Arrays in order, by the name of their group.
    """

    about: dict[str, Any]
    arrays: Mapping[str, Arrays]


def checkpoint_path(cache: Path, run_id: str) -> Path:
    """The path of a run's checkpoint."""
    return CHECKPOINTS.path(cache, run_id)


def checkpoint_paths(cache: Path) -> list[Path]:
    """All checkpoints, the newest first."""
    return sorted(cache.glob(CHECKPOINTS.pattern), key=_modified, reverse=True)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a run; after a power cut there is either the old or the new one.

    Raises:
        DataError: The disk is full or cannot be written to.
    """
    named: dict[str, Any] = {
        f"{group}.{number:05d}": array
        for group, arrays in checkpoint.arrays.items()
        for number, array in enumerate(arrays)
    }
    text = np.frombuffer(json.dumps(checkpoint.about).encode(), np.uint8)
    # The lock is for those who remove what dead processes have left: nobody else writes this file.
    with locked(path), new_file(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, **{_ABOUT: text, **named})
            file.flush()
            os.fsync(file.fileno())


def read_about(path: Path) -> dict[str, Any] | None:
    """The description in a checkpoint, without its arrays; None if it is damaged.

    Raises:
        OSError: There is no file, or it cannot be read, which does not mean that it is damaged.
    """
    found = _read(path, arrays=False)
    return None if found is None else found.about


def read_checkpoint(path: Path) -> Checkpoint | None:
    """A checkpoint; None if it is damaged.

    Raises:
        OSError: There is no file, or it cannot be read, which does not mean that it is damaged.
    """
    return _read(path, arrays=True)


def about_checkpoint(path: Path) -> str:
    """A short description for the list of the cache's contents."""
    try:
        about = read_about(path) or {}
    except OSError:  # gone by now, or of somebody else
        about = {}
    return f"a training after epoch {len(about.get('epochs', []))}"


def _read(path: Path, *, arrays: bool) -> Checkpoint | None:
    groups: dict[str, list[npt.NDArray[Any]]] = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            about = json.loads(bytes(stored[_ABOUT]))
            for name in sorted(set(stored.files) - {_ABOUT}) if arrays else ():
                groups.setdefault(name.rpartition(".")[0], []).append(stored[name])
    except Exception as error:  # NumPy's and zipfile's readers raise almost anything on damaged content
        if not means_damage(error):
            raise
        return None
    return Checkpoint(about, groups) if isinstance(about, dict) else None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process removed it, or a shared folder fails for a moment
        return 0.0
