"""Finding the interrupted run with which a training goes on."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flowersweep.cache.atomic import locked
from flowersweep.cache.checkpoints import (
    Checkpoint,
    checkpoint_path,
    checkpoint_paths,
    read_about,
    read_checkpoint,
)
from flowersweep.errors import DataError, TrackingError
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.orphaned_runs import is_interrupted
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store
from flowersweep.training.checkpoint.content import changes, in_words
from flowersweep.training.checkpoint.run_checkpoint import remove

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

# Seconds after which a checkpoint that was not replaced may be that of a run that has finished.
_ENDED = 3600.0

Content = TypeVar("Content")


@dataclass(frozen=True)
class InterruptedRun:
    """A run that was interrupted, and its state after an epoch."""

    run_id: str
    checkpoint: Checkpoint


@contextmanager
def interrupted_run(
    cache: Path, about: Mapping[str, Any], store: Store, silent: Collection[str] = ()
) -> Iterator[InterruptedRun | None]:
    """Yield the newest interrupted run of the same training; None if there is none.

    No other process gets it until the end of the block, where it must belong to this process; unless the folder can only be
    read.

    Args:
        cache: The cache folder.
        about: The `identity` of the run (what is trained for whom) and the `content` of the training.
        store: The store of the run.
        silent: Runs that count as interrupted although they are RUNNING.
    """
    for path in checkpoint_paths(cache):
        stored = _read(read_about, path)
        if stored is None or stored.get("identity") != about["identity"]:
            continue
        changed = changes(stored["content"], about["content"])
        if "configuration" in changed:
            continue  # another run of the same name
        if not _is_interrupted(path.stem, store, silent):
            continue
        if changed:
            log.warning(
                "The training starts at its first epoch and not after epoch %d of run %s, which was interrupted, because %s.",
                len(stored["epochs"]),
                path.stem,
                in_words(changed[0]),
            )
            continue
        with ExitStack() as claim:
            # A folder that can only be read has no lock, and a checkpoint all the same; the next epoch tells that it has none.
            with suppress(DataError):
                claim.enter_context(locked(checkpoint_path(cache, "resumption")))
            if not _is_interrupted(path.stem, store, silent):
                continue  # another process has taken it while this one waited
            if (checkpoint := _read(read_checkpoint, path)) is not None:
                yield InterruptedRun(path.stem, checkpoint)
                return
    yield None


def remove_finished(cache: Path, store: Store) -> None:
    """Remove the checkpoints of runs that have finished, which stayed because the store had not their end at that time.

    Args:
        cache: The folder of the checkpoints.
        store: The store of the runs; checkpoints of runs of other ones stay.
    """
    for path in checkpoint_paths(cache):
        with suppress(OSError):  # gone by now, or of somebody else
            # A living run replaces its checkpoint more often, and the store need not be asked about it.
            if time.time() - path.stat().st_mtime > _ENDED and _is_finished(path.stem, store):
                remove(path)


def _is_finished(run_id: str, store: Store) -> bool:
    run = _run(run_id, store)
    return run is not None and run.info.status == RunStatus.FINISHED.value


def _read(read: Callable[[Path], Content | None], path: Path) -> Content | None:
    """What a file has; None if it cannot be read now, or is damaged: it is then removed, if possible."""
    try:
        found = read(path)
    except (FileNotFoundError, PermissionError):  # gone by now, or of somebody else
        return None
    except OSError as error:
        # A shared folder may fail for a moment, and the run may be alive on another machine.
        log.warning("%s cannot be read now (%s); no training goes on after it.", path, error.strerror)
        return None
    if found is None:
        remove(path)
        log.warning(
            "%s is damaged; a training that would go on after it starts at its first epoch.",
            path,
        )
    return found


def _is_interrupted(run_id: str, store: Store, silent: Collection[str]) -> bool:
    """Whether a run is in this store, has not finished, and no process is training it, as far as it is known."""
    run = _run(run_id, store)
    if run is None:
        return False
    return run.info.lifecycle_stage == "active" and (run_id in silent or is_interrupted(run))


def _run(run_id: str, store: Store) -> "Run | None":
    """A run; None if it is of another store, or was removed."""
    try:
        with translated(f"read run {run_id}"):
            return client(store.uri).get_run(run_id)
    except TrackingError:
        return None
