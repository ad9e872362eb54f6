"""Which points of a grid the trials of a study have had, and the next of them."""

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from flowersweep.doors.optuna_api import enqueued_values
from flowersweep.sweep.study.attributes import GRID_POINT


class Grid(Protocol):
    """The part of a search space that is needed to iterate over its points."""

    @property
    def size(self) -> int:
        """The number of points of the grid."""

    def grid(self) -> Iterator[dict[str, Any]]:
        """The points in order."""

    def key(self, params: Mapping[str, Any]) -> Hashable:
        """A key that is equal only for equal points."""

    def is_point(self, params: Mapping[str, Any]) -> bool:
        """Whether these are the complete values of a point."""


def points_had(trials: Sequence[FrozenTrial], space: Grid) -> tuple[set[int], set[Hashable]]:
    """The points that trials have had: the indices of those from the grid, and the keys of others."""
    points = {int(trial.user_attrs[GRID_POINT]) for trial in trials if GRID_POINT in trial.user_attrs}
    others = [trial for trial in trials if GRID_POINT not in trial.user_attrs]
    if not others:
        return points, set()
    # A trial that died before it had values has none either; it is not the point of a space without keys.
    values = [_values(trial) for trial in others if _values(trial) or trial.state is TrialState.COMPLETE]
    keys = {space.key(point) for point in values if space.is_point(point)}
    taken = itertools.islice(space.grid(), max(points, default=-1) + 1)
    keys.difference_update(space.key(point) for index, point in enumerate(taken) if index in points)
    return points, keys


def _values(trial: FrozenTrial) -> Mapping[str, Any]:
    """The values of a trial or, if it waits, its future values."""
    return trial.params or enqueued_values(trial)


def enqueue_point(study: Study, space: Grid, trials: Sequence[FrozenTrial]) -> None:
    """Enqueue the first point that no trial has had, if there is one."""
    indices, others = points_had(trials, space)
    for index, point in enumerate(space.grid()):
        if index not in indices and not (others and space.key(point) in others):
            study.enqueue_trial(dict(point), user_attrs={GRID_POINT: index})
            return
