"""Parse the command line, `hydra.sweeper.params` and `hydra.sweeper.conditions` into a search space."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override

from flowersweep.errors import SweepError
from flowersweep.sweep.space import grammar
from flowersweep.sweep.space.conditions import attach, read_conditions
from flowersweep.sweep.space.custom import Extension
from flowersweep.sweep.space.dimension import Dimension
from flowersweep.sweep.space.overrides import merge, name_of, read_arguments, read_params
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.space.values import plain


def build_space(
    arguments: Sequence[str],
    params: Mapping[str, Any] | None = None,
    conditions: Mapping[str, Any] | None = None,
    *,
    config_loader: ConfigLoader | None = None,
    extension: Extension | None = None,
) -> Space:
    """The search space of a sweep.

    Args:
        arguments: The overrides of the command line, including fixed ones.
        params: `hydra.sweeper.params`: sweeps or fixed values by key. An argument replaces those with the same key.
        conditions: `hydra.sweeper.conditions`: for a key, the keys and values it depends on.
        config_loader: Has the options of config groups, which `glob` needs.
        extension: `hydra.sweeper.custom_search_space`.

    Raises:
        SweepError: The input is invalid; the message says what is wrong and how to fix it.
    """
    read = read_conditions(conditions or {})
    given = read_params(params or {}, config_loader), read_arguments(arguments, config_loader)
    merged = merge(*given)
    items = [_item(override, conditioned=name_of(override) in read) for override in merged]
    dimensions = {item.name: item for item in items if isinstance(item, Dimension)}
    fixed = {
        name_of(item): plain(item.value())
        for item in items
        if isinstance(item, Override) and not item.is_delete()
    }
    attached = attach(dimensions, fixed, _declared([*given[0], *given[1]]), read)
    _refuse_useless(given[1], [name for name in dimensions if name not in attached], read)
    return Space(
        tuple(
            attached[item.name] if isinstance(item, Dimension) else item
            for item in items
            if isinstance(item, Override) or item.name in attached
        ),
        extension,
    )


def _item(override: Override, *, conditioned: bool) -> Dimension | Override:
    """A dimension for a sweep, and for a fixed value under a condition; otherwise the override."""
    if override.is_delete():
        return override
    try:
        if override.is_sweep_override():
            return grammar.dimension(override)
        plain(override.value())
        return grammar.only(override) if conditioned else override
    except SweepError as error:
        raise SweepError(f"{override.input_line} cannot be searched: {error}") from None


def _declared(overrides: Iterable[Override]) -> dict[str, list[Dimension]]:
    """Every search of a key, also one that is replaced by another: together they define its possible values."""
    declared: dict[str, list[Dimension]] = {}
    for override in overrides:
        if override.is_sweep_override() and not override.is_delete():
            item = _item(override, conditioned=False)
            if isinstance(item, Dimension):
                declared.setdefault(item.name, []).append(item)
    return declared


def _refuse_useless(
    arguments: Iterable[Override], dropped: Sequence[str], conditions: Mapping[str, Iterable[str]]
) -> None:
    """Reject a typed override without effect; in a preset, a key that these models never need is allowed."""
    for override in arguments:
        if (name := name_of(override)) in dropped:
            raise SweepError(
                f"{override.input_line} would have no effect: {name} is searched only with certain values of "
                f"{', '.join(conditions[name])}, and this sweep has none of them; leave it out."
            )
