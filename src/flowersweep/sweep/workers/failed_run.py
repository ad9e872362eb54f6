"""The run of a trial whose training could not write the end of it: its process died, or failed before it had a run."""

import logging
import os
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from flowersweep.errors import TrackingError
from flowersweep.sweep.study.outcome import Outcome
from flowersweep.sweep.workers.messages import Job
from flowersweep.sweep.workers.trial import RunningTrial

if TYPE_CHECKING:
    from flowersweep.tracking.store.store import Store

log = logging.getLogger(__name__)


def record_failure(job: Job, outcome: Outcome) -> str | None:
    """End the run of a failed trial as FAILED with the reason; create it if there is none.

    Args:
        job: The last attempt of the trial.
        outcome: Its failure.

    Returns:
        The run's id; None for an application without runs, and if the store cannot be used.
    """
    if job.parent_run_id is None or OmegaConf.select(job.config, "tracking.experiment") is None:
        return None
    # Imported here so that a worker without such failures does not import MLflow and the training modules.
    from flowersweep.sweep.parent_run import open_store

    try:
        store = open_store(job.config)
        return None if store is None else _recorded(job, outcome, store)
    except TrackingError as error:
        log.warning("Trial %d: its failure was not stored in MLflow: %s", job.number, error)
        return None


def _recorded(job: Job, outcome: Outcome, store: "Store") -> str:
    from flowersweep.sweep.study.trial_name import trial_name
    from flowersweep.sweep.workers.objective import searched_numbers, tags_of
    from flowersweep.tracking.mlflow_api import client, translated
    from flowersweep.tracking.mlflow_tracker import MLflowTracker
    from flowersweep.tracking.run import RunStatus

    service, parent = client(store.uri), job.parent_run_id
    with translated(f"look for the run of trial {job.number}"):
        found = service.search_runs(
            [service.get_run(parent).info.experiment_id],
            f"tags.`mlflow.parentRunId` = '{parent}' and tags.trial = '{job.number}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
    if found:
        tracker = MLflowTracker(store, found[0].info.run_id)
    else:
        trial = RunningTrial(job.number, job.study_name, job.params, job.attempt, parent)
        tags = {**tags_of(trial), "worker": os.getpid()}
        experiment = job.config.tracking.experiment
        tracker = MLflowTracker.start(store, experiment, trial_name(trial), parent_run_id=parent, tags=tags)
        tracker.params(dict(job.params))
        tracker.metrics(searched_numbers(job.params))
    if not found or "failure" not in found[0].data.tags:
        tracker.tags({"failure": outcome.reason})
    if outcome.traceback:
        tracker.text(outcome.traceback, "failure.txt")
    tracker.end(RunStatus.FAILED)
    return tracker.run_id
