"""Arguments of keys whose values are strings: `data.dir=1e5` names a folder, although Hydra reads a number."""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from flowersweep.config.schema import NODES, Config

# Hydra's own keys, which belong to the sweeper of another package.
_SWEEPS_TEXTS = frozenset({"hydra.sweeper.study_name", "hydra.sweeper.storage", "hydra.sweep.dir"})
_ADDED_PRESETS = ("+experiment=", "+search=", "+cluster=")
# Strings that need no quotes unless Hydra reads them as numbers: without quotes, brackets and interpolations.
_BARE = re.compile(r"[\w.+\-/:,]+")


def as_meant(argument: str) -> str:
    """An override as every command reads it: with quotes around strings, and presets without the plus that Hydra rejects.

    Presets are often added with a plus, as in `+experiment=X`, which is for groups without a default.

    Args:
        argument: Of the command line.
    """
    return texts_quoted(argument[1:] if argument.startswith(_ADDED_PRESETS) else argument)


def texts_quoted(argument: str) -> str:
    """An argument as typed, or with quotes around a string that would be read as a number or a boolean.

    Args:
        argument: Of the command line, such as `data.dir=1e5` or, in a sweep, `data.dir=1e5,2e5`.
    """
    key, equals, value = argument.partition("=")
    if not equals or key.lstrip("+") not in text_keys() or not _BARE.fullmatch(value):
        return argument
    return f"{key}={','.join(_quoted(part) for part in value.split(','))}"


def _quoted(part: str) -> str:
    try:
        parsed = OverridesParser.create().parse_rule(part, "element")
    except HydraException:
        return part  # Hydra reports what is wrong with it
    return f"'{part}'" if isinstance(parsed, bool | int | float) else part


@cache
def text_keys() -> frozenset[str]:
    """Dotted keys whose values are strings, for all choices of the groups."""
    groups = ((group, node) for group, nodes in NODES.items() for node in nodes.values())
    inside = (key for group, node in groups for key in _keys(node, f"{group}."))
    return frozenset({*_keys(Config), *inside, *_SWEEPS_TEXTS})


def _keys(node: type[Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of a dataclass whose values are strings."""
    hints = typing.get_type_hints(node)
    for field in dataclasses.fields(node):
        kind = hints[field.name]
        kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
        if str in kinds:
            yield f"{prefix}{field.name}"
        elif dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield from _keys(kind, f"{prefix}{field.name}.")
