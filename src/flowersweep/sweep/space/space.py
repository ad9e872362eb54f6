"""The search space of a sweep: what is searched, what is fixed, and the overrides of each trial."""

import json
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hydra.core.override_parser.types import Override
from optuna.distributions import BaseDistribution

from flowersweep.errors import SweepError
from flowersweep.sweep.space import conditions as conditional
from flowersweep.sweep.space.custom import Extension
from flowersweep.sweep.space.definition import describe
from flowersweep.sweep.space.dimension import Dimension, Suggesting
from flowersweep.sweep.space.overrides import name_of
from flowersweep.sweep.space.values import text_of
from flowersweep.texts import nearest


@dataclass(frozen=True)
class Space:
    """A search space; params are always dicts from parameter name to value, as in an Optuna trial.

    Attributes:
        items: The sweep's overrides in order: a dimension for a searched key, the parsed override for a fixed
            one.
        extension: Adds further params to each trial; None for none.
    """

    items: tuple[Dimension | Override, ...]
    extension: Extension | None = None

    @cached_property
    def searched(self) -> dict[str, Dimension]:
        """The dimensions by name, in the given order."""
        return {item.name: item for item in self.items if isinstance(item, Dimension)}

    @property
    def dimensions(self) -> dict[str, BaseDistribution]:
        """Optuna's distributions by parameter name, including conditional ones."""
        return {name: dimension.distribution for name, dimension in self.searched.items()}

    @property
    def fixed(self) -> tuple[str, ...]:
        """The overrides of every trial, as typed."""
        return tuple(item.input_line or "" for item in self.items if isinstance(item, Override))

    @property
    def given(self) -> dict[str, str]:
        """The keys with a fixed value in every trial, each with its override as typed."""
        return {name_of(item): item.input_line or "" for item in self.items if isinstance(item, Override)}

    @property
    def conditional(self) -> bool:
        """Whether some dimensions are searched only if others have certain values."""
        return any(dimension.when for dimension in self.searched.values())

    @property
    def finite(self) -> bool:
        """Whether every dimension is a list of values (an interval is not), so that there is a grid."""
        return self.why_endless is None

    @property
    def why_endless(self) -> str | None:
        """Why there is no grid, in words; None if there is one."""
        for name, dimension in self.searched.items():
            if not dimension.options:
                return f"{name} is searched in {dimension.endless}"
        return "values are searched by hydra.sweeper.custom_search_space" if self.extension else None

    @cached_property
    def size(self) -> int:
        """The number of points of the grid; one if nothing is searched.

        Raises:
            SweepError: The space is not finite.
        """
        self._refuse_infinite()
        parents = {parent for dimension in self.searched.values() for parent in dimension.when}
        others = [dimension for name, dimension in self.searched.items() if name not in parents]
        # Options of a parent that are equal in all conditions are counted once, to avoid iterating over long lists.
        alike = {name: self._alike(name) for name in parents}
        first = {name: sorted(groups) for name, groups in alike.items()}
        return sum(
            math.prod(alike[name][index] for name, index in point.items())
            * math.prod(len(other.options) for other in others if _active(other, point))
            for point in self._walk([self.searched[name] for name in self.searched if name in parents], first)
        )

    def _alike(self, parent: str) -> dict[int, int]:
        """The number of options of a parent that no condition distinguishes, by the index of the first of them."""
        conditions = [
            dimension.when[parent] for dimension in self.searched.values() if parent in dimension.when
        ]
        first: dict[tuple[bool, ...], int] = {}
        counts: dict[int, int] = {}
        for index in range(len(self.searched[parent].options)):
            place = first.setdefault(tuple(index in wanted for wanted in conditions), index)
            counts[place] = counts.get(place, 0) + 1
        return counts

    def grid(self) -> Iterator[dict[str, Any]]:
        """Every point once, in the order of Hydra's own grid: the last given key varies fastest.

        A dimension whose condition does not hold is left out; points that are then equal occur once, at the
        position of the first of them.

        Raises:
            SweepError: The space is not finite.
        """
        self._refuse_infinite()
        for point in self._walk(list(self.searched.values())):
            yield {name: self.searched[name].options[index].label for name, index in point.items()}

    def suggest(self, trial: Suggesting) -> dict[str, Any]:
        """Ask a trial for the values of all dimensions whose conditions hold."""
        when = {name: dimension.when for name, dimension in self.searched.items()}
        params: dict[str, Any] = {}
        for name in sorted(self.searched, key=lambda name: conditional.depth(name, when)):
            if self._holds(self.searched[name], params):
                params[name] = self.searched[name].suggest(trial)
        found = {name: params[name] for name in self.searched if name in params}
        if self.extension is None:
            return found
        given = {
            item.get_key_element(): str(item.get_value_element_as_str())
            for item in self.items
            if isinstance(item, Override) and not item.is_delete()
        }
        return {**found, **self.extension.suggest(trial, given, self.searched)}

    def key(self, params: Mapping[str, Any]) -> Hashable:
        """Equal for two legal points, as the study has them, if and only if they are the same point."""
        return frozenset(
            # A function's own choices may be lists, and tuples are lists when they have been stored.
            (
                name,
                self.searched[name].identity(value)
                if name in self.searched
                else json.dumps(value, default=repr),
            )
            for name, value in params.items()
        )

    def is_point(self, params: Mapping[str, Any]) -> bool:
        """Whether there is a value for every dimension whose conditions hold, and for no other."""
        return not self.check_point(params) and not self._lacking(params)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a trial as its configuration has them: the study has texts of lists and mappings."""
        return {
            name: self.searched[name].value(label) if name in self.searched else label
            for name, label in params.items()
        }

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        """All overrides of a trial, including fixed ones, in the given order.

        Args:
            params: A value for every dimension whose conditions hold, and for no other.

        Raises:
            SweepError: A value is missing, or is not legal.
        """
        if problems := [*self.check_point(params), *self._lacking(params)]:
            raise SweepError("\n".join(problems))
        lines = []
        for item in self.items:
            if isinstance(item, Override):
                lines.append(item.input_line or "")
            elif item.name in params:
                lines.append(item.override(params[item.name]))
        return lines + [f"{name}={text_of(value)}" for name, value in params.items() if self._is_added(name)]

    def check_point(self, params: Mapping[str, Any]) -> list[str]:
        """The errors of a point, one message each; it may leave out dimensions.

        Args:
            params: Values as in the study or, where no value of the study looks the same, as in the configuration.
        """
        problems = []
        for name, value in params.items():
            if self._is_added(name):
                continue
            if name not in self.searched:
                problems.append(self._unknown(name))
                continue
            try:
                self.searched[name].label(value)
            except SweepError as error:
                problems.append(str(error))
        return problems or [
            f"{name} is searched only with {self._words(self.searched[name])}; add this to the point, or leave {name} out."
            for name in params
            if not self._is_added(name) and not self._holds(self.searched[name], params)
        ]

    def stored(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """A point of the configuration as the study has it; what is not legal stays as it is."""
        return {
            name: self.searched[name].stored(value) if name in self.searched else value
            for name, value in params.items()
        }

    def point(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """A point as the study stores it, from values as in the configuration.

        Raises:
            SweepError: What `check_point` finds.
        """
        params = self.stored(params)
        if problems := self.check_point(params):
            raise SweepError("\n".join(problems))
        return {
            name: value if self._is_added(name) else self.searched[name].label(value)
            for name, value in params.items()
        }

    def definition(self) -> dict[str, Any]:
        """The space as values for JSON: equal for two spaces if and only if they can share a study.

        Returns:
            `searched` and `fixed` (text by key, including its prefix), `conditions` (by name, then by the key they
            depend on, the texts of its values), and `order`, the searched keys in the order of the grid.
        """
        return describe(self.items)

    def _refuse_infinite(self) -> None:
        if self.why_endless:
            raise SweepError(
                f"{self.why_endless}, which has no grid; set hydra.sweeper.n_trials, "
                "or search a choice or a range."
            )

    def _is_added(self, name: str) -> bool:
        """Whether a param is one of the extension's."""
        return self.extension is not None and name not in self.searched

    def _walk(
        self,
        dimensions: Sequence[Dimension],
        considered: Mapping[str, Sequence[int]] | None = None,
        chosen: Mapping[str, int] | None = None,
    ) -> Iterator[dict[str, int]]:
        """The grid of some dimensions and of all dimensions they depend on, as the indices of the active ones.

        Of points that differ only in inactive dimensions, the first in order has their first values.
        Where `considered` names a dimension, only these of its options are walked.
        """
        chosen, considered = chosen or {}, considered or {}
        if len(chosen) == len(dimensions):
            active = {name: index for name, index in chosen.items() if self._open(name, chosen)}
            if all(index == 0 for name, index in chosen.items() if name not in active):
                yield active
            return
        dimension = dimensions[len(chosen)]
        indices = considered.get(dimension.name, range(len(dimension.options)))
        for index in indices if self._open(dimension.name, chosen) else [0]:
            yield from self._walk(dimensions, considered, {**chosen, dimension.name: index})

    def _open(self, name: str, chosen: Mapping[str, int]) -> bool:
        """Whether none of the values chosen so far excludes a dimension."""
        return all(
            parent not in chosen or (chosen[parent] in indices and self._open(parent, chosen))
            for parent, indices in self.searched[name].when.items()
        )

    def _holds(self, dimension: Dimension, params: Mapping[str, Any]) -> bool:
        return all(
            parent in params and self.searched[parent].index(params[parent]) in indices
            for parent, indices in dimension.when.items()
        )

    def _lacking(self, params: Mapping[str, Any]) -> list[str]:
        return [
            f"{name} has no value in this trial; it must be {dimension.allowed}."
            for name, dimension in self.searched.items()
            if name not in params and self._holds(dimension, params)
        ]

    def _words(self, dimension: Dimension) -> str:
        parents = {parent: self.searched[parent].options for parent in dimension.when}
        return " and ".join(
            f"{parent}={' or '.join(parents[parent][index].text for index in sorted(indices))}"
            for parent, indices in dimension.when.items()
        )

    def _unknown(self, name: str) -> str:
        known = list(self.searched)
        return f"{name} is not searched in this sweep; searched keys: {', '.join(known) or 'none'}.{nearest(name, known)}"


def _active(dimension: Dimension, point: Mapping[str, int]) -> bool:
    return all(point.get(parent) in indices for parent, indices in dimension.when.items())
