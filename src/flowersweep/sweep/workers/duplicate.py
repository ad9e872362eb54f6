"""Duplicates: trials with the values of another one, whose result is copied instead of training."""

import os
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

from omegaconf import DictConfig
from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from flowersweep.sweep.study.attributes import REPEATS, RUN_ID, TAKEN_FROM
from flowersweep.sweep.study.outcome import Outcome, State, of_exception
from flowersweep.sweep.workers.trial import RunningTrial


class _Keys(Protocol):
    def key(self, params: Mapping[str, Any]) -> Hashable:
        """A key that is equal only for equal points."""


def duplicate_of(study: Study, space: _Keys, trial: Trial, params: Mapping[str, Any]) -> FrozenTrial | None:
    """The original of a duplicate: a complete, trained trial with the same values; None if there is none.

    Args:
        study: The study of the trial.
        space: Defines which values are equal.
        trial: The possible duplicate; it is never its own original.
        params: Its values.
    """
    key = space.key(params)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    trained = (one for one in complete if TAKEN_FROM not in one.user_attrs)
    return next((one for one in trained if one.number != trial.number and space.key(one.params) == key), None)


def copy_result(running: RunningTrial, original: FrozenTrial, config: DictConfig) -> Outcome:
    """Give a duplicate the result of its original, and record this in the study and in MLflow.

    Its run in MLflow has no figures, because they belong to a training that already has a run.

    Args:
        running: The duplicate.
        original: From `duplicate_of`.
        config: Composed for the trial, with its `hydra` node.
    """
    try:
        run_id = _recorded(running, original, config)
    except Exception as error:  # noqa: BLE001 - as when a training cannot start its run
        return of_exception(error)
    running.user_attrs(
        {TAKEN_FROM: original.number} if run_id is None else {TAKEN_FROM: original.number, RUN_ID: run_id}
    )
    return Outcome(State.COMPLETE, tuple(original.values))


def _recorded(running: RunningTrial, original: FrozenTrial, config: DictConfig) -> str | None:
    """The id of the trial's run; None for an application without runs."""
    # Imported here so that a worker without duplicates does not import MLflow and the training modules.
    from flowersweep.fields import maximized
    from flowersweep.sweep.parent_run import open_store
    from flowersweep.sweep.study.trial_name import trial_name
    from flowersweep.sweep.workers.objective import searched_numbers, tags_of
    from flowersweep.tracking.closing import closing
    from flowersweep.tracking.mlflow_tracker import MLflowTracker
    from flowersweep.tracking.run import NOTE
    from flowersweep.tracking.store.summary import summary

    if (store := open_store(config)) is None:
        return None
    values = ", ".join(f"{value:.6g}" for value in original.values)
    tracker = MLflowTracker.start(
        store,
        config.tracking.experiment,
        trial_name(running),
        parent_run_id=running.parent_run_id,
        tags={
            **tags_of(running),
            "worker": os.getpid(),
            TAKEN_FROM: original.number,
            NOTE: f"Not trained: trial {original.number} had the same values, and this one has its result, {values}.",
        },
    )
    with closing(tracker, wait=0):
        seeds = original.user_attrs.get(REPEATS) or original.values[:1]
        maximize = maximized(config.objective.metric)
        tracker.metrics({**searched_numbers(running.params), **summary(seeds, maximize=maximize)})
        tracker.params(dict(running.params))
    return tracker.run_id
