"""The definition of a search space, which its study stores as JSON."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from flowersweep.sweep.space.dimension import Dimension
from flowersweep.sweep.space.values import plain, text_of


def describe(items: Sequence[Dimension | Override]) -> dict[str, Any]:
    """A space as values for JSON; see `Space.definition`."""
    searched = {item.name: item for item in items if isinstance(item, Dimension)}
    fixed = [item for item in items if isinstance(item, Override)]
    return {
        "searched": {dimension.key: dimension.text for dimension in searched.values()},
        "order": [dimension.key for dimension in searched.values()],
        "conditions": {
            dimension.key: {
                searched[parent].key: sorted(searched[parent].options[index].text for index in indices)
                for parent, indices in sorted(dimension.when.items())
            }
            for dimension in searched.values()
            if dimension.when
        },
        "fixed": {override.get_key_element(): _fixed_text(override) for override in fixed},
    }


def _fixed_text(override: Override) -> str:
    """The value in canonical spelling; a deletion may have none."""
    if override.is_delete():
        return (override.input_line or "").removeprefix(override.get_key_element()).removeprefix("=")
    return text_of(plain(override.value()))
