"""Selection of the best run of a study's trials, of a trial's repeats, or of single runs."""

import json
import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from flowersweep.config import direction_of
from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted
from flowersweep.texts import number_text
from flowersweep.tracking.lookup import Files, run_overrides, with_seed
from flowersweep.tracking.run import GOAL
from flowersweep.tracking.selection import (
    STUDIES,
    find_study,
    own_studies,
    refuse_deleted_study,
    restoring,
    search,
    study_name,
    trials_of,
)
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run


def best_run(store: Store, study: str | None = None, experiment: str | None = None) -> "Run":
    """The best trial of a study; where there is no study, the best of the comparable single runs.

    Pruned and failed trials do not count. With repeats it is the trial with the best mean. If its run is no longer in
    MLflow, no other one is used instead.

    Args:
        store: The store to search.
        study: Its name; None for the latest one.
        experiment: Name of the experiment to look in; None for all.

    Raises:
        TrackingError: There is no such run, or it is no longer in the store.
    """
    if study is None and not own_studies(search(store, STUDIES, experiment)):
        return _best_alone(store, experiment)
    found = find_study(store, study, experiment)
    there = trials_of(store, found)
    trials = [run for run in there if counts(run)]
    numbers = {run.data.tags["trial"] for run in there}
    deleted = [run for run in trials_of(store, found, deleted=True) if run.data.tags["trial"] not in numbers]
    refuse_deleted(store, f"trial of study {study_name(found)!r}", trials, deleted)
    _refuse_lost(store, found, trials, numbers | {run.data.tags["trial"] for run in deleted})
    if not trials:
        raise TrackingError(
            f"No trial of study {study_name(found)!r} has finished; resume the sweep, or choose another study with "
            "study=NAME."
        )
    return best_of(trials)


def best_of(runs: Sequence["Run"]) -> "Run":
    """The run with the best value of its objective; the first one on a tie."""
    maximizes = direction_of(objective(runs[0])[0]) == "maximize"
    return (max if maximizes else min)(runs, key=lambda run: objective(run)[1])


def refuse_deleted(store: Store, what: str, there: Sequence["Run"], deleted: Sequence["Run"]) -> None:
    """Refuse to use another run if the best one was deleted in MLflow.

    Args:
        store: The store of the runs.
        what: What the runs are, in words.
        there: The existing runs that count.
        deleted: The deleted runs.

    Raises:
        TrackingError: A deleted run is better than all existing ones.
    """
    gone = [run for run in deleted if counts(run)]
    if not gone:
        return
    best = best_of([*there, *gone])  # the first of equal ones, so a deleted one is better
    if best in there:
        return
    run_id = best.info.run_id
    raise TrackingError(
        f"The best {what} is {described(best)}, but its run {run_id} was deleted in MLflow; {restoring(store, run_id)}"
        f"{_instead(there)}."
    )


def _refuse_lost(store: Store, study: "Run", there: Sequence["Run"], known: Collection[str]) -> None:
    """Refuse to use another run if the best trial of the study's leaderboard has no run in MLflow.

    Args:
        store: The store of the study.
        study: The run of the study.
        there: The existing runs that count.
        known: The numbers of the trials with a run in any state.
    """
    rows = json.loads(Files(store, study.info.run_id).text("study/leaderboard.json") or "[]")
    lost = [row for row in rows if row["state"] == "COMPLETE" and str(row["trial"]) not in known]
    if not lost:
        return
    told = study.data.tags.get(GOAL, "")
    direction, _, metric = told.partition(", ")[0].partition(" ")
    sign = -1 if direction == "maximize" else 1
    best = min(lost, key=lambda row: sign * row["values"][0])
    if there and sign * objective(best_of(there))[1] <= sign * best["values"][0]:
        return
    raise TrackingError(
        f"The best trial of study {study_name(study)!r} is trial {best['trial']}, {metric} {number_text(best['values'][0])}, but "
        f"its run {best['run_id']} is not in {redacted(store.uri)}: it was deleted permanently, or is in the store "
        f"of another machine; train it again with the command in the description of the study's run{_instead(there)}."
    )


def _instead(there: Sequence["Run"]) -> str:
    if not there:
        return "; there is no other finished one"
    best = best_of(there)
    return f", or use the best remaining one, {described(best)}, with run={best.info.run_id[:8]}"


def objective(run: "Run") -> tuple[str, float]:
    """Name and value of the objective of a run; NaN if it has no value."""
    # Runs from before the tag have it in their params.
    metric = run.data.tags.get("objective") or run.data.params.get("objective.metric", "best/val_accuracy")
    return metric, float(run.data.metrics.get(metric, "nan"))


def described(run: "Run") -> str:
    """A short description of a run: its trial or name, and its value."""
    tags = run.data.tags
    name = f"trial {tags['trial']} of study {tags['study']}" if "trial" in tags else str(run.info.run_name)
    metric, value = objective(run)
    return f"{name}, {metric} {number_text(value)}"


def counts(run: "Run") -> bool:
    """Whether a run has finished and has a value."""
    ended = run.info.status == "FINISHED" and run.data.tags.get("trial.state") != "PRUNED"
    return ended and not math.isnan(objective(run)[1])


def overrides_of(store: Store, run: "Run") -> list[str]:
    """The overrides of a run, with the seed of a repeat."""
    typed = run_overrides(store, run.info.run_id)
    if run.data.tags.get("kind") != "repeat":
        return typed
    return with_seed(typed, run.data.params["seed"])


def _best_alone(store: Store, experiment: str | None) -> "Run":
    """The best single run with the experiment, metric and data of the latest one."""
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
    """Finished runs that are not part of a study, the latest first."""
    found = search(store, "attributes.status = 'FINISHED'", experiment, deleted=deleted)
    return [run for run in found if counts(run) and run.data.tags.get("kind", "run") == "run"]


def _comparable(run: "Run") -> tuple[str, ...]:
    used = run.inputs.dataset_inputs if run.inputs else []
    return (run.info.experiment_id, objective(run)[0], *(one.dataset.digest for one in used))
