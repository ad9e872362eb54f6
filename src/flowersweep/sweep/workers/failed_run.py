"""The run of a trial whose training could not write the end of it: its process died, or failed before it had a run."""

import logging
import os
from typing import TYPE_CHECKING

from optuna import Study
from optuna.trial import TrialState

from flowersweep.errors import TrackingError
from flowersweep.sweep.space.values import own_value
from flowersweep.sweep.study.attributes import FAIL_REASON, LOST, RUN_ID
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
    if job.parent_run_id is None or own_value(job.config, "tracking.experiment", str) is None:
        return None
    # Imported here so that a worker without such failures does not import MLflow and the training modules.
    from flowersweep.sweep.runs import open_store, own_runs

    try:
        store = open_store(own_runs(job.config))
        return None if store is None else _recorded(job, outcome, store)
    except TrackingError as error:
        log.warning("Trial %d: its failure was not stored in MLflow: %s", job.number, error)
        return None


def record_lost(study: Study, store: "Store") -> None:
    """End the runs of trials that have failed because their workers died, which nobody was there to do."""
    from flowersweep.tracking.mlflow_api import client, translated
    from flowersweep.tracking.mlflow_tracker import MLflowTracker
    from flowersweep.tracking.run import RunStatus

    for trial in study.get_trials(deepcopy=False, states=[TrialState.FAIL]):
        if LOST not in trial.user_attrs or RUN_ID not in trial.user_attrs:
            continue
        run_id = trial.user_attrs[RUN_ID]
        try:
            with translated(f"look for the run of trial {trial.number}"):
                status = client(store.uri).get_run(run_id).info.status
            if status in {RunStatus.FINISHED.value, RunStatus.FAILED.value}:
                continue
            tracker = MLflowTracker(store, run_id)
            tracker.tags({"failure": trial.user_attrs[FAIL_REASON]})
            tracker.end(RunStatus.FAILED)
        except TrackingError as error:  # a run that was deleted, or is in the store of another machine
            log.warning("Trial %d: its failure was not stored in MLflow: %s", trial.number, error)


def _recorded(job: Job, outcome: Outcome, store: "Store") -> str:
    from flowersweep.sweep.study.trial_name import trial_name
    from flowersweep.sweep.workers.recorder import searched_numbers, tags_of
    from flowersweep.tracking.closing import closed_on_failure
    from flowersweep.tracking.mlflow_api import client, translated
    from flowersweep.tracking.mlflow_tracker import MLflowTracker
    from flowersweep.tracking.rules import key_of
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
    with closed_on_failure(tracker):
        if not found:
            tracker.params({key_of(name): value for name, value in job.params.items()})
            tracker.metrics(searched_numbers(job.params))
        if not found or "failure" not in found[0].data.tags:
            tracker.tags({"failure": outcome.reason})
        if outcome.traceback:
            tracker.text(outcome.traceback, "failure.txt")
        tracker.end(RunStatus.FAILED)
    return tracker.run_id
