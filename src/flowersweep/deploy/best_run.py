"""Which run is the best: of a study's trials, of a trial's repeats, or of runs that stand alone."""

import json
import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from flowersweep.config import direction_of
from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted
from flowersweep.tracking.files import Files
from flowersweep.tracking.lookup import run_overrides, with_seed
from flowersweep.tracking.selection import (
    STUDIES,
    find_study,
    refuse_deleted_study,
    restoring,
    search,
    trials_of,
)
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run


def best_run(store: Store, study: str | None = None, experiment: str | None = None) -> "Run":
    """The best trial of a study; where there is no study the best of the runs that can be compared.

    Pruned and failed trials do not count. With repeats it is the trial with the best mean. If that one's run is gone from
    MLflow, no other one is taken in its place.

    Args:
        store: Where to look.
        study: Its name; None for the latest one.
        experiment: Name of the experiment to look in; None for all.

    Raises:
        TrackingError: There is none, or its run is not there any more.
    """
    if study is None and not search(store, STUDIES, experiment):
        return _best_alone(store, experiment)
    found = find_study(store, study, experiment)
    there = trials_of(store, found)
    trials = [run for run in there if counts(run)]
    numbers = {run.data.tags["trial"] for run in there}
    deleted = [run for run in trials_of(store, found, deleted=True) if run.data.tags["trial"] not in numbers]
    refuse_deleted(store, f"trial of study {found.info.run_name!r}", trials, deleted)
    _refuse_lost(store, found, trials, numbers | {run.data.tags["trial"] for run in deleted})
    if not trials:
        raise TrackingError(
            f"No trial of study {found.info.run_name!r} has finished; go on with the sweep, or choose another one with "
            "study=NAME."
        )
    return best_of(trials)


def best_of(runs: Sequence["Run"]) -> "Run":
    """The run with the best value of its objective; the first one on a tie."""
    maximizes = direction_of(objective(runs[0])[0]) == "maximize"
    return (max if maximizes else min)(runs, key=lambda run: objective(run)[1])


def refuse_deleted(store: Store, what: str, there: Sequence["Run"], deleted: Sequence["Run"]) -> None:
    """Take no other run in the place of the best one, if that was deleted in MLflow.

    Args:
        store: Where they are.
        what: Of which kind they are, in words.
        there: The runs that count.
        deleted: Runs that were deleted.

    Raises:
        TrackingError: A deleted run is better than all that are there.
    """
    gone = [run for run in deleted if counts(run)]
    if not gone:
        return
    best = best_of([*there, *gone])  # the first of equals, so that a deleted one is better
    if best in there:
        return
    run_id = best.info.run_id
    raise TrackingError(
        f"The best {what} is {described(best)}, but its run {run_id} was deleted in MLflow; {restoring(store, run_id)}"
        f"{_instead(there)}."
    )


def _refuse_lost(store: Store, study: "Run", there: Sequence["Run"], known: Collection[str]) -> None:
    """The same for a trial whose run MLflow does not have at all; the study's leaderboard knows of it.

    Args:
        store: Where the study is.
        study: Its run.
        there: The runs that count.
        known: The numbers of the trials that have a run, whatever became of it.
    """
    rows = json.loads(Files(store, study.info.run_id).text("study/leaderboard.json") or "[]")
    lost = [row for row in rows if row["state"] == "COMPLETE" and str(row["trial"]) not in known]
    if not lost:
        return
    told = study.data.tags.get("study.goal", "")
    direction, _, metric = told.partition(", ")[0].partition(" ")
    sign = -1 if direction == "maximize" else 1
    best = min(lost, key=lambda row: sign * row["values"][0])
    if there and sign * objective(best_of(there))[1] <= sign * best["values"][0]:
        return
    raise TrackingError(
        f"The best trial of study {study.info.run_name!r} is trial {best['trial']}, {metric} {best['values'][0]:.4f}, but "
        f"its run {best['run_id']} is not in {redacted(store.uri)}: it was removed for good, or is in the store "
        f"of another machine; train it again with the command in the description of the study's run{_instead(there)}."
    )


def _instead(there: Sequence["Run"]) -> str:
    if not there:
        return "; no other finished one is left"
    best = best_of(there)
    return f", or take the best one that is left, {described(best)}, with run={best.info.run_id[:8]}"


def objective(run: "Run") -> tuple[str, float]:
    """Name and value of what a run was optimized for; NaN if it got no value."""
    # Runs from before the tag have it among their params.
    metric = run.data.tags.get("objective") or run.data.params.get("objective.metric", "best/val_accuracy")
    return metric, float(run.data.metrics.get(metric, "nan"))


def described(run: "Run") -> str:
    """A run in a few words: which trial it is, or its name, and what it achieved."""
    tags = run.data.tags
    name = f"trial {tags['trial']} of study {tags['study']}" if "trial" in tags else str(run.info.run_name)
    metric, value = objective(run)
    return f"{name}, {metric} {value:.4f}"


def counts(run: "Run") -> bool:
    """Whether a run has come to an end and to a value."""
    ended = run.info.status == "FINISHED" and run.data.tags.get("trial.state") != "PRUNED"
    return ended and not math.isnan(objective(run)[1])


def overrides_of(store: Store, run: "Run") -> list[str]:
    """What to type for this very run; a repeat's own seed is added."""
    typed = run_overrides(store, run.info.run_id)
    if run.data.tags.get("kind") != "repeat":
        return typed
    return with_seed(typed, run.data.params["seed"])


def _best_alone(store: Store, experiment: str | None) -> "Run":
    """The best of those runs that are no part of a study and share experiment, metric and data with the latest."""
    there, deleted = _alone(store, experiment), _alone(store, experiment, deleted=True)
    if not there:
        refuse_deleted_study(store, experiment=experiment)
    if not (there or deleted):
        raise TrackingError(
            "No run has finished yet; train one, as in python -m flowersweep data=demo trainer=quick."
        )
    latest = _comparable((there or deleted)[0])
    comparable = [run for run in there if _comparable(run) == latest]
    refuse_deleted(store, "run", comparable, [run for run in deleted if _comparable(run) == latest])
    return best_of(comparable)


def _alone(store: Store, experiment: str | None, *, deleted: bool = False) -> list["Run"]:
    """Finished runs that are no part of a study, the latest first."""
    found = search(store, "attributes.status = 'FINISHED'", experiment, deleted=deleted)
    return [run for run in found if counts(run) and run.data.tags.get("kind", "run") == "run"]


def _comparable(run: "Run") -> tuple[str, ...]:
    used = run.inputs.dataset_inputs if run.inputs else []
    return (run.info.experiment_id, objective(run)[0], *(one.dataset.digest for one in used))
