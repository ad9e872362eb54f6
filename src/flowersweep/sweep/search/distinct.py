"""A sampler that asks again if it would suggest the values of another trial of the study."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from flowersweep.doors.optuna_api import enqueued_values, storage_of, study_id
from flowersweep.sweep.space.dimension import Suggesting
from flowersweep.sweep.space.space import Space

# How often a sampler is asked for one trial; if nothing new is suggested, the trial is a duplicate, whose result is copied.
MAX_ASKED = 16


class DistinctSampler(BaseSampler):
    """Suggests complete points of a space, new ones if possible.

    A suggestion is new if no trial has or had it, except trials that failed or wait. The first suggestion of the wrapped
    sampler is taken if it is new, so that nothing changes if points do not coincide.

    Args:
        space: What is searched.
        sampler_for: Creates the wrapped sampler: the same one for the same attempt, counted from 0.
    """

    def __init__(self, space: Space, sampler_for: Callable[[int], BaseSampler]) -> None:
        self._space = space
        self._sampler_for = sampler_for
        self._first = sampler_for(0)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All dimensions: complete points are suggested."""
        del study, trial
        return self._space.dimensions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values of all dimensions whose conditions hold."""
        del search_space
        complete, others = _known(self._space, study, trial)
        size = self._space.size if self._space.finite else None
        point: dict[str, Any] = {}
        # If every point of the space is known, nothing new can be suggested.
        for attempt in range(1 if size is not None and len(complete) >= size else MAX_ASKED):
            sampler = self._sampler_for(attempt) if attempt else self._first
            asked = _ask(self._space, sampler, study, trial)
            key = self._space.key(asked)
            if key not in complete and key not in others:
                return asked
            # If nothing is new, prefer a point that need not be trained.
            point = asked if not point or key in complete else point
        return point

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of a parameter that is not in the space."""
        return self._first.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Notify the wrapped sampler."""
        self._first.before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Notify the wrapped sampler."""
        # BruteForceSampler would end `Study.optimize` when it has had all points; here the budget ends a sweep.
        with suppress(RuntimeError):
            self._first.after_trial(study, trial, state, values)


def _known(space: Space, study: Study, trial: FrozenTrial) -> tuple[set[Hashable], set[Hashable]]:
    """The points of complete trials, and those of running and pruned ones."""
    # Not study.get_trials(): a pruner may hide some of them.
    trials = storage_of(study).get_all_trials(study_id(study), deepcopy=False)
    complete = {space.key(one.params) for one in trials if one.state is TrialState.COMPLETE}
    states = (TrialState.RUNNING, TrialState.PRUNED)
    others = (one for one in trials if one.state in states and one.number != trial.number)
    return complete, {space.key(one.params) for one in others}


def _ask(space: Space, sampler: BaseSampler, study: Study, trial: FrozenTrial) -> dict[str, Any]:
    dimensions = sampler.infer_relative_search_space(study, trial)
    relative = sampler.sample_relative(study, trial, dimensions)
    return space.suggest(_Draft(sampler, study, trial, relative))


class _Draft(Suggesting):
    """Values of a trial that are not stored yet, determined in the same order as in Optuna's own trials."""

    def __init__(
        self, sampler: BaseSampler, study: Study, trial: FrozenTrial, relative: Mapping[str, Any]
    ) -> None:
        self._sampler = sampler
        self._study = study
        self._trial = trial
        # The enqueued values, or those of an earlier attempt.
        self._given = {**enqueued_values(trial), **trial.params}
        self._relative = relative

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._value(name, CategoricalDistribution(choices))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self._value(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self._value(name, FloatDistribution(low, high, log=log, step=step)))

    def _value(self, name: str, distribution: BaseDistribution) -> Any:
        if name in self._given:
            return self._given[name]
        if distribution.single():
            is_choice = isinstance(distribution, CategoricalDistribution)
            return distribution.choices[0] if is_choice else distribution.low  # type: ignore[attr-defined]
        if name in self._relative:
            return self._relative[name]
        return self._sampler.sample_independent(self._study, self._trial, name, distribution)
