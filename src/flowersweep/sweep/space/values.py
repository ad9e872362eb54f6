"""Convert values of Hydra overrides from the parser's objects to plain Python and back to the text of an override."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Quote, QuotedString, Sweep, Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepError

T = TypeVar("T")
_parser = OverridesParser.create()


def plain(value: Any) -> Any:
    """A parsed value as None, bool, int, float, str, or lists and dicts of these.

    Raises:
        SweepError: A sweep is inside a list, a mapping or another sweep.
    """
    if isinstance(value, (Sweep, Glob)):
        raise SweepError("a sweep is inside another value; only a complete value can be searched.")
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


def own_value(config: DictConfig, key: str, kind: type[T]) -> T | None:
    """The value of a key of flowersweep's own; None where another program has none, or something else under these names.

    >>> own_value(OmegaConf.create({"trainer": {"epochs": 3}}), "trainer.epochs", int)
    3
    >>> own_value(OmegaConf.create({"trainer": "gpu"}), "trainer.epochs", int)
    """
    group, _, name = key.partition(".")
    node = OmegaConf.select(config, group)
    value = OmegaConf.select(node, name) if isinstance(node, DictConfig) else None
    return value if isinstance(value, kind) else None


def text_of(value: Any) -> str:
    """The right-hand side of an override that Hydra parses to the same value, of the same type.

    Args:
        value: None, bool, int, float, str, or lists, tuples and dicts of these.

    Raises:
        SweepError: No text is parsed to this value, for example a mapping with an empty key.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(text_of(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_key_text(key)}:{text_of(item)}' for key, item in value.items())}}}"
    return _string_text(str(value))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal in a configuration: 1 equals 1.0, but neither equals true or '1'; nan equals nan."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return bool(one == other)


def _string_text(value: str) -> str:
    """Unquoted if possible, as one would type it; quoted if a bare word would be a number, null, or a syntax error."""
    for candidate in (Transformer.str(value), *(QuotedString(value, quote).with_quotes() for quote in Quote)):
        if parses_to(candidate, value):
            return candidate
    raise SweepError(f"the text {value!r} cannot be written in an override; choose another value.")


def _key_text(key: Any) -> str:
    candidate = Transformer.str(key)
    if not parses_to(f"{{{candidate}:0}}", {key: 0}):
        raise SweepError(
            f"the key {key!r} of a mapping cannot be written in an override; choose another one."
        )
    return candidate


def parses_to(text: str, value: Any) -> bool:
    """Whether Hydra parses a text in an override to a value, of the same type."""
    try:
        parsed = plain(_parser.parse_rule(text, "element"))
    except HydraException:
        return False
    return type(parsed) is type(value) and bool(parsed == value)


def leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by their dotted keys; an empty mapping is a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
