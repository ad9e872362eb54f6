"""Which run is the best: of a study's trials, of a trial's repeats, or of runs that stand alone."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowersweep.config import direction_of
from flowersweep.errors import TrackingError
from flowersweep.tracking.lookup import run_overrides
from flowersweep.tracking.selection import find_study, search, trials_of
from flowersweep.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run


def winner(store: Store, study: str | None = None, experiment: str | None = None) -> "Run":
    """The best trial of a study; where there is no study the best of the runs that can be compared.

    Pruned and failed trials do not count. With repeats it is the trial with the best mean.

    Args:
        store: Where to look.
        study: Its name; None for the latest one.
        experiment: Name of the experiment to look in; None for all.

    Raises:
        TrackingError: There is none.
    """
    if study is None and not search(store, "tags.kind = 'study'", experiment):
        return _best_alone(store, experiment)
    found = find_study(store, study, experiment)
    trials = [run for run in trials_of(store, found) if counts(run)]
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
    return [*(one for one in typed if not one.startswith("seed=")), f"seed={run.data.params['seed']}"]


def _best_alone(store: Store, experiment: str | None) -> "Run":
    """The best of those runs that are no part of a study and share experiment, metric and data with the latest."""
    found = search(store, "attributes.status = 'FINISHED'", experiment)
    runs = [run for run in found if counts(run) and run.data.tags.get("kind", "run") == "run"]
    if not runs:
        raise TrackingError(
            "No run has finished yet; train one, as in python -m flowersweep data=demo trainer=quick."
        )
    return best_of([run for run in runs if _comparable(run) == _comparable(runs[0])])


def _comparable(run: "Run") -> tuple[str, ...]:
    used = run.inputs.dataset_inputs if run.inputs else []
    return (run.info.experiment_id, objective(run)[0], *(one.dataset.digest for one in used))
