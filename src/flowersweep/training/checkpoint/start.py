"""The run of a training in MLflow: a new one, one that was interrupted, or one that has finished with the same content."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowersweep.cache.checkpoints import checkpoint_path
from flowersweep.config.locations import checkpoints_dir
from flowersweep.config.schema import Config
from flowersweep.tracking.closing import closed_on_failure
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import CLOSED_TAG, runs_like, silent_runs, supersede
from flowersweep.tracking.store.store import Store
from flowersweep.training.checkpoint.interrupted import InterruptedRun, interrupted_run, remove_finished
from flowersweep.training.checkpoint.run_checkpoint import RunCheckpoint, remove

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

# The tags by which the runs of a study's trials differ.
IDENTITY = ("study", "kind", "trial", "repeat")
# The tag with a digest of the training's content, and those of a run that went on after an interruption, or could not.
CONTENT_TAG, RESUMED_TAG, RESTARTED_TAG = "flowersweep.training", "resumed", "restarted"
# The tags of an interrupted run that are no longer true when it goes on.
ENDED = ("failure", "trial.state", CLOSED_TAG)


@contextmanager
def started_or_resumed(
    config: Config,
    store: Store,
    name: str,
    *,
    parent: str | None,
    tags: Mapping[str, object],
    content: Mapping[str, Any],
    silent: Sequence["Run"] = (),
) -> Iterator[tuple[MLflowTracker, RunCheckpoint]]:
    """Yield the tracker of a training's run, and its checkpoint.

    No other process resumes the same run before the end of the block. If the block raises, the run ends; after it, the
    caller has to end it.

    Args:
        config: The configuration.
        store: The store of the run.
        name: The name of the run.
        parent: The id of the run under which it is shown.
        tags: Its tags.
        content: What the training depends on.
        silent: Runs of the same training on machines that gave no sign of life. These may come back, so the training goes
            on in another run, which takes their place.
    """
    cache, experiment = checkpoints_dir(config.paths), config.tracking.experiment
    tags = {**tags, CONTENT_TAG: digest_of(content)}
    # A run below another one is in the experiment of that one, whatever the folder of the pictures is called on this machine.
    place = [None, parent] if parent is not None else [experiment, None]
    identity = [name, *place, *(str(tags.get(tag)) for tag in IDENTITY)]
    about = {"identity": identity, "content": content}
    resumes = config.tracking.resume == "auto"
    ids = [run.info.run_id for run in silent]
    remove_finished(cache, store)
    interrupted = interrupted_run(cache, about, store, ids) if resumes else nullcontext()
    with interrupted as found, ExitStack() as failure:
        if found is None or found.run_id in ids:
            tags |= _about_silent(silent, found) if resumes else {}
            tracker = MLflowTracker.start(store, experiment, name, parent_run_id=parent, tags=tags)
            failure.enter_context(closed_on_failure(tracker))
            path = checkpoint_path(cache, tracker.run_id)
            if found is not None:
                _move(checkpoint_path(cache, found.run_id), path)
            before = None if found is None else found.checkpoint
            checkpoint = RunCheckpoint(path if resumes else None, about, before, in_new_run=True)
        else:
            tracker = MLflowTracker.resume(store, found.run_id, without=ENDED)
            failure.enter_context(closed_on_failure(tracker))
            checkpoint = RunCheckpoint(checkpoint_path(cache, found.run_id), about, found.checkpoint)
            tracker.tags({**tags, RESUMED_TAG: f"after epoch {checkpoint.epochs}"})
            log.info("Run %s was interrupted; it goes on after epoch %d.", found.run_id, checkpoint.epochs)
        for run in silent:
            supersede(store, run, tracker.run_id)
        yield tracker, checkpoint


def _move(before: Path, now: Path) -> None:
    """Give a checkpoint, which has been read, to the run that goes on with it."""
    # The machine that comes back may have removed it; the next epoch writes a new one.
    with suppress(OSError):
        before.replace(now)
        remove(before)  # its lock


def earlier_runs(
    store: Store, parent: str, tags: Mapping[str, object], content: Mapping[str, Any]
) -> "tuple[Run | None, list[Run]]":
    """The run below another one that has finished the same training, if any; and those of machines that are silent."""
    found = runs_like(store, {tag: tags[tag] for tag in IDENTITY if tag in tags}, parent)
    same = (run for run in found if run.data.tags.get(CONTENT_TAG) == digest_of(content))
    finished = next((run for run in same if run.info.status == "FINISHED"), None)
    return finished, silent_runs(found)


def _about_silent(silent: Sequence["Run"], found: InterruptedRun | None) -> dict[str, str]:
    """The tags that say how a training goes on that began on another machine, which are also logged."""
    if not silent:
        return {}
    if found is not None:
        last = len(found.checkpoint.about["epochs"])
        log.info(
            "The machine of run %s gave no sign of life; its training goes on after epoch %d.",
            found.run_id,
            last,
        )
        return {RESUMED_TAG: f"after epoch {last} of run {found.run_id}"}
    before = silent[0].info.run_id
    log.warning("The machine of run %s gave no sign of life; its training starts at the first epoch.", before)
    return {
        RESTARTED_TAG: f"at the first epoch: there is no checkpoint of run {before} here with which it could go on"
    }


def digest_of(content: Mapping[str, Any]) -> str:
    """32 hex digits of a content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
