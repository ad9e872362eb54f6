"""The run of a training in MLflow: a new one, one that was interrupted, or one that has finished with the same content."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from flowersweep.cache.checkpoints import checkpoint_path
from flowersweep.config import cache_dir
from flowersweep.config.schema import Config
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import CLOSED_TAG, runs_like
from flowersweep.tracking.store.store import Store
from flowersweep.training.checkpoint.interrupted import interrupted_run
from flowersweep.training.checkpoint.run_checkpoint import RunCheckpoint

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

# The tags by which the runs of a study's trials differ.
IDENTITY = ("study", "kind", "trial", "repeat")
# The tag with a digest of the training's content, and that of a run that went on after an interruption.
CONTENT_TAG, RESUMED_TAG = "flowersweep.training", "resumed"
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
) -> Iterator[tuple[MLflowTracker, RunCheckpoint]]:
    """Yield the tracker of a training's run, and its checkpoint.

    No other process resumes the same run before the end of the block.

    Args:
        config: The configuration.
        store: The store of the run.
        name: The name of the run.
        parent: The id of the run under which it is shown.
        tags: Its tags.
        content: What the training depends on.
    """
    cache, experiment = cache_dir(config.paths.cache), config.tracking.experiment
    tags = {**tags, CONTENT_TAG: digest_of(content)}
    identity = [name, experiment, parent, *(str(tags.get(tag)) for tag in IDENTITY)]
    about = {"identity": identity, "content": content}
    resumes = config.tracking.resume == "auto"
    with interrupted_run(cache, about, store) if resumes else nullcontext() as found:
        if found is None:
            tracker = MLflowTracker.start(store, experiment, name, parent_run_id=parent, tags=tags)
            yield tracker, RunCheckpoint(checkpoint_path(cache, tracker.run_id) if resumes else None, about)
            return
        tracker = MLflowTracker.resume(store, found.run_id, without=ENDED)
        checkpoint = RunCheckpoint(checkpoint_path(cache, found.run_id), about, found.checkpoint)
        tracker.tags({**tags, RESUMED_TAG: f"after epoch {checkpoint.epochs}"})
        log.info("Run %s was interrupted; it goes on after epoch %d.", found.run_id, checkpoint.epochs)
        yield tracker, checkpoint


def finished_run(
    store: Store, parent: str, tags: Mapping[str, object], content: Mapping[str, Any]
) -> "Run | None":
    """The run below another one that has finished the same training; None if there is none."""
    wanted = {**{tag: tags[tag] for tag in IDENTITY if tag in tags}, CONTENT_TAG: digest_of(content)}
    finished = (run for run in runs_like(store, wanted, parent) if run.info.status == "FINISHED")
    return next(finished, None)


def digest_of(content: Mapping[str, Any]) -> str:
    """32 hex digits of a content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
