"""Duplicates: trials with the values of another one, whose result is copied instead of training."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from omegaconf import DictConfig
from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from flowersweep.sweep.study.attributes import REPEATS, RUN_ID, TAKEN_FROM
from flowersweep.sweep.study.outcome import Outcome, State, of_exception
from flowersweep.sweep.workers.trial import RunningTrial
from flowersweep.texts import number_text

if TYPE_CHECKING:
    from flowersweep.sweep.workers.recorder import Recorder


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


def copy_result(
    running: RunningTrial, original: FrozenTrial, config: DictConfig, recorder: "Recorder | None" = None
) -> Outcome:
    """Give a duplicate the result of its original, and record this in the study and in MLflow.

    Its run in MLflow has no figures, because they belong to a training that already has a run.

    Args:
        running: The duplicate.
        original: From `duplicate_of`.
        config: Composed for the trial, with its `hydra` node.
        recorder: Records the trials of another program.
    """
    try:
        run_id = _recorded(running, original, config, recorder)
    except Exception as error:  # noqa: BLE001 - as when a training cannot start its run
        return of_exception(error)
    running.user_attrs(
        {TAKEN_FROM: original.number} if run_id is None else {TAKEN_FROM: original.number, RUN_ID: run_id}
    )
    return Outcome(State.COMPLETE, tuple(original.values))


def _recorded(
    running: RunningTrial, original: FrozenTrial, config: DictConfig, recorder: "Recorder | None"
) -> str | None:
    """The id of the trial's run; None for an application without runs."""
    # Imported here so that a worker without duplicates does not import MLflow and the training modules.
    from flowersweep.fields import maximized
    from flowersweep.sweep.runs import open_store, own_runs
    from flowersweep.sweep.workers.recorder import Recorder
    from flowersweep.tracking.closing import closing
    from flowersweep.tracking.run import NOTE
    from flowersweep.tracking.store.summary import summary

    runs = own_runs(config) if recorder is None else recorder.runs
    if runs is None or (store := open_store(runs)) is None:
        return None
    if recorder is None:
        recorder = Recorder(runs, (), maximized(config.objective.metric))
    values = ", ".join(number_text(value) for value in original.values)
    note = f"Not trained: trial {original.number} had the same values, and this one has its result, {values}."
    tracker = recorder.started(store, running, {TAKEN_FROM: original.number, NOTE: note})
    with closing(tracker, wait=0):
        recorder.missing_params(store, tracker, running)
        seeds = original.user_attrs.get(REPEATS) or original.values[:1]
        tracker.metrics(summary(seeds, maximize=recorder.maximize))
    return tracker.run_id
