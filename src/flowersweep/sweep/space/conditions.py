"""Conditional dimensions: which keys are searched only when others have certain values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flowersweep.errors import SweepError
from flowersweep.sweep.space.dimension import Dimension
from flowersweep.sweep.space.values import same, text_of
from flowersweep.texts import nearest

CONDITIONS = "hydra.sweeper.conditions"

Conditions = Mapping[str, Mapping[str, Sequence[Any]]]


def read_conditions(given: Mapping[str, Any]) -> Conditions:
    """Conditions with every value in a list, after checking their form and that no key depends on itself.

    Args:
        given: For each key, the keys it depends on, each with a required value or a list of them. All must hold.

    Raises:
        SweepError: A condition is not a mapping, is empty, or depends on itself.
    """
    read: dict[str, dict[str, Sequence[Any]]] = {}
    for name, condition in given.items():
        if not isinstance(condition, Mapping) or not condition:
            raise SweepError(
                f"{CONDITIONS}.{name} must be a mapping such as {{model: mobilenet_ft}}, but is {condition!r}."
            )
        read[name] = {key: value if isinstance(value, list) else [value] for key, value in condition.items()}
        if empty := [key for key, values in read[name].items() if not values]:
            raise SweepError(f"{CONDITIONS}.{name} lists no value of {empty[0]}; list at least one.")
    for name in read:
        _refuse_cycle(name, read, ())
    return read


def depth(name: str, conditions: Mapping[str, Iterable[str]]) -> int:
    """Number of conditions between a key and one that is always searched."""
    return 1 + max(depth(parent, conditions) for parent in conditions[name]) if conditions.get(name) else 0


def attach(
    dimensions: Mapping[str, Dimension],
    fixed: Mapping[str, Any],
    declared: Mapping[str, Sequence[Dimension]],
    conditions: Conditions,
) -> dict[str, Dimension]:
    """The dimensions with their conditions, without those that can never be searched.

    Args:
        dimensions: All searched keys, by name; a key with a condition is included even if it has only one value.
        fixed: The values of the other given keys.
        declared: The searches of a key in params and on the command line, which define its possible values.
        conditions: From `read_conditions`.

    Raises:
        SweepError: A condition names an unknown key, or an impossible value of its key.
    """
    for name in conditions:
        _refuse_unknown(name, name, [*dimensions])
    attached = dict(dimensions)
    for name in sorted(conditions, key=lambda name: depth(name, conditions)):
        known = [*dimensions, *fixed]
        when = _when(name, conditions[name], known=known, attached=attached, fixed=fixed, declared=declared)
        if when is None:
            del attached[name]
        else:
            attached[name] = replace(attached[name], when=when)
    return attached


def _when(
    name: str,
    condition: Mapping[str, Sequence[Any]],
    *,
    known: Sequence[str],
    attached: Mapping[str, Dimension],
    fixed: Mapping[str, Any],
    declared: Mapping[str, Sequence[Dimension]],
) -> dict[str, frozenset[int]] | None:
    """The conditions that depend on the trial; None if they can never all hold."""
    when: dict[str, frozenset[int]] = {}
    possible = True
    for parent, values in condition.items():
        _refuse_unknown(name, parent, known)
        _refuse_impossible(name, parent, values, declared.get(parent, ()))
        if parent in fixed:
            possible &= any(same(fixed[parent], value) for value in values)
        elif parent in attached:
            found = {attached[parent].index(attached[parent].stored(value)) for value in values}
            when[parent] = frozenset(index for index in found if index is not None)
            possible &= bool(when[parent])
        else:
            possible = False
    return when if possible else None


def _refuse_unknown(name: str, key: str, known: Sequence[str]) -> None:
    if key in known:
        return
    raise SweepError(
        f"{CONDITIONS}.{name} depends on {key}, which is neither searched nor given a value in the sweep."
        f"{nearest(key, list(known))}"
    )


def _refuse_impossible(name: str, parent: str, values: Sequence[Any], searches: Sequence[Dimension]) -> None:
    if not searches:
        return
    if not any(search.options for search in searches):
        raise SweepError(
            f"{CONDITIONS}.{name} depends on {parent}, which is an interval; only the values of a choice or a range "
            "can be conditions."
        )
    for value in values:
        if all(search.index(search.stored(value)) is None for search in searches):
            raise SweepError(
                f"{CONDITIONS}.{name} requires {parent}={text_of(value)}, but {parent} must be {searches[0].allowed}."
            )


def _refuse_cycle(name: str, conditions: Conditions, path: tuple[str, ...]) -> None:
    if name in path:
        circle = " -> ".join([*path[path.index(name) :], name])
        raise SweepError(
            f"{CONDITIONS} are circular, {circle}; one of these keys must not depend on the next."
        )
    for parent in conditions.get(name, {}):
        _refuse_cycle(parent, conditions, (*path, name))
