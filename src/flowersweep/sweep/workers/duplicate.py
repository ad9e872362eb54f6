"""A duplicate: a trial with the values of another one, whose result is copied, so that nothing is trained."""

import os
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

from omegaconf import DictConfig
from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from flowersweep.sweep.study.attributes import RUN_ID, TAKEN_FROM
from flowersweep.sweep.study.outcome import Outcome, State, of_exception
from flowersweep.sweep.workers.trial import RunningTrial


class _Keys(Protocol):
    def key(self, params: Mapping[str, Any]) -> Hashable:
        """What a point has in common with itself only."""


def duplicate_of(study: Study, space: _Keys, trial: Trial, params: Mapping[str, Any]) -> FrozenTrial | None:
    """The trial that this one is a duplicate of: complete, with the same values, and trained; None if there is none.

    Args:
        study: Of the trial.
        space: Knows which values are the same.
        trial: It is none itself.
        params: Its values.
    """
    key = space.key(params)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    trained = (one for one in complete if TAKEN_FROM not in one.user_attrs)
    return next((one for one in trained if one.number != trial.number and space.key(one.params) == key), None)


def copy_result(running: RunningTrial, original: FrozenTrial, config: DictConfig) -> Outcome:
    """Give a duplicate the result of its original, and say so in the study and in MLflow.

    Its run there has no figures: they are those of a training that has a run already.

    Args:
        running: The duplicate.
        original: As `duplicate_of` found it.
        config: Composed for the trial, with its `hydra` node.
    """
    try:
        run_id = _recorded(running, original, config)
    except Exception as error:  # noqa: BLE001 - as when a training cannot begin its run
        return of_exception(error)
    running.user_attrs(
        {TAKEN_FROM: original.number} if run_id is None else {TAKEN_FROM: original.number, RUN_ID: run_id}
    )
    return Outcome(State.COMPLETE, tuple(original.values))


def _recorded(running: RunningTrial, original: FrozenTrial, config: DictConfig) -> str | None:
    """The id of the trial's run; None for an application that keeps no runs."""
    # A worker that never needs them is spared MLflow and what a training imports.
    from flowersweep.sweep.parent_run import open_store
    from flowersweep.sweep.workers.objective import name_of, searched_numbers, tags_of
    from flowersweep.tracking.closing import closing
    from flowersweep.tracking.mlflow_tracker import MLflowTracker
    from flowersweep.tracking.run import NOTE

    if (store := open_store(config)) is None:
        return None
    values = ", ".join(f"{value:.6g}" for value in original.values)
    tracker = MLflowTracker.start(
        store,
        config.tracking.experiment,
        name_of(running),
        parent_run_id=running.parent_run_id,
        tags={
            **tags_of(running),
            "worker": os.getpid(),
            TAKEN_FROM: original.number,
            NOTE: f"Not trained: trial {original.number} had the same values, and this one has its result, {values}.",
        },
    )
    with closing(tracker):
        tracker.metrics(searched_numbers(running.params))
        tracker.params(dict(running.params))
    return tracker.run_id
