"""Closing orphaned runs: after `kill -9` or a power cut, a run is RUNNING although its process does not exist."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from flowersweep import process
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.outbox.delivery import waiting_runs
from flowersweep.tracking.run import SUPERSEDED_TAG, RunStatus
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

CLOSED_TAG = "flowersweep.closed_because"


def is_orphaned(run: "Run") -> bool:
    """Whether a run is RUNNING although its process has certainly died."""
    return run.info.status == "RUNNING" and process.is_dead(run.data.tags, run.info.start_time / 1000)


def orphaned_runs(store: Store, experiment_ids: Sequence[str] | None = None) -> list["Run"]:
    """The running runs whose process on this machine has died.

    A run with records that wait on disk is none of them, because its end may be one of these.

    Args:
        store: The store to search.
        experiment_ids: The experiments to search; None for all.

    Raises:
        TrackingError: If the store does not answer.
    """
    service, dead, page = client(store.uri), [], None
    waiting = waiting_runs(store.outboxes)
    with translated(f"look for interrupted runs in {store.uri}"):
        if experiment_ids is None:
            experiment_ids = [found.experiment_id for found in service.search_experiments()]
        while experiment_ids:
            found = service.search_runs(
                list(experiment_ids), "attributes.status = 'RUNNING'", page_token=page
            )
            dead += [run for run in found if run.info.run_id not in waiting and is_orphaned(run)]
            page = found.token
            if not page:
                break
    return dead


def is_interrupted(run: "Run") -> bool:
    """Whether a run has ended without a result, and no process writes to it."""
    if SUPERSEDED_TAG in run.data.tags:
        return False  # its process may come back
    return run.info.status in {RunStatus.KILLED.value, RunStatus.FAILED.value} or is_orphaned(run)


def supersede(store: Store, run: "Run", by: str, *, moves: bool = True) -> None:
    """End a run whose machine gives no sign of life; if its process comes back, the run stays KILLED.

    Args:
        store: The store of the run.
        run: A run that is RUNNING.
        by: The run that takes its place.
        moves: Whether the finished runs below it are put below the one that takes its place.
    """
    service, run_id = client(store.uri), run.info.run_id
    machine = run.data.tags.get(process.HOST_TAG, "?")
    with translated(f"end run {run_id}"):
        service.set_tag(run_id, SUPERSEDED_TAG, by)
        service.set_tag(run_id, CLOSED_TAG, f"its machine {machine} gave no sign of life; see run {by}")
        service.set_terminated(run_id, RunStatus.KILLED.value)
    for repeat in runs_like(store, {}, run_id):
        if repeat.info.status == "RUNNING":
            supersede(store, repeat, by)
        elif moves and repeat.info.status == RunStatus.FINISHED.value:
            with translated(f"move run {repeat.info.run_id}"):
                service.set_tag(repeat.info.run_id, "mlflow.parentRunId", by)


def runs_like(store: Store, tags: Mapping[str, object], parent: str) -> "list[Run]":
    """The runs below another one that have all of some tags, among them that of their trial; the newest first."""
    service = client(store.uri)
    with translated(f"look for runs under {parent}"):
        experiment = service.get_run(parent).info.experiment_id
        found = service.search_runs(
            [experiment], f"tags.`mlflow.parentRunId` = '{parent}'", max_results=50_000
        )
    return [run for run in found if all(run.data.tags.get(tag) == str(value) for tag, value in tags.items())]


def silent_runs(runs: "Iterable[Run]") -> "list[Run]":
    """Those of runs of a trial that are RUNNING on other machines; the caller has the trial, so they have lost it."""
    return [run for run in runs if run.info.status == "RUNNING" and not is_orphaned(run)]


def close_orphaned_runs(store: Store, experiment_ids: Sequence[str] | None = None) -> list[str]:
    """Mark as KILLED the running runs whose process on this machine has died.

    Runs of other machines, of running processes and with records that wait on disk are not changed, nor are those of which
    it cannot be known.

    Args:
        store: The store to search.
        experiment_ids: The experiments to search; None for all.

    Returns:
        The identifiers of the runs that were closed.

    Raises:
        TrackingError: If the store does not answer.
    """
    closed = []
    service = client(store.uri)
    for found in orphaned_runs(store, experiment_ids):
        with translated(f"close interrupted runs in {store.uri}"):
            run = service.get_run(found.info.run_id)
            if not is_orphaned(run):  # another process has resumed, closed or removed it since it was found
                continue
            pid, host = run.data.tags[process.PID_TAG], run.data.tags[process.HOST_TAG]
            service.set_tag(run.info.run_id, CLOSED_TAG, f"process {pid} on {host} died without ending it")
            service.set_terminated(run.info.run_id, RunStatus.KILLED.value)
            closed.append(str(run.info.run_id))
    return closed
