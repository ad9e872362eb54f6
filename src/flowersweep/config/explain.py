"""Say in one sentence what Hydra and OmegaConf say in several lines about a bad command line."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from flowersweep.config.schema import NODES, Config
from flowersweep.config.validate import nearest


def explain(error: Exception) -> str:
    """One sentence for a composition error: what was wrong, what was received, how to mend it.

    Args:
        error: A HydraException or OmegaConfBaseException raised while composing.
    """
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    text = str(error).strip()
    if isinstance(error, MissingConfigException):
        return _unknown_choice(error)
    if isinstance(error, OverrideParseException):
        detail = text.splitlines()[1] if "\n" in text else text
        return f"{error.override!r} is not a valid override ({detail}); write key=value, and quote values with spaces or commas."
    if match := re.match(r"Could not override '([^']+)'", text):
        return _unknown_key(match.group(1))
    if match := re.match(r"Error merging override (.+)", text.splitlines()[0] if text else ""):
        return _bad_value(match.group(1), cause)
    if cause is not None:
        return f"{_one_line(text)}: {_one_line(str(cause))}"
    return _one_line(text)


def _one_line(text: str) -> str:
    kept = [line.strip() for line in text.splitlines() if line.strip() and "object_type=" not in line]
    return " ".join(kept).replace("full_key:", "key")


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    options = [str(option) for option in error.options or ()]
    if not group:
        return _one_line(str(error))
    listed = f"; choose one of {', '.join(options)}." if options else "."
    return f"{group} has no choice {choice!r}{listed}{nearest(choice, options)}"


def _unknown_key(key: str) -> str:
    keys = [*known_keys(), *_GROUPS]
    group, _, leaf = key.partition(".")
    choices = [choice for choice, node in NODES.get(group, {}).items() if leaf in _field_names(node)]
    if choices:
        return f"There is no key {key!r} with the {group} that is chosen; it belongs to {group}={' or '.join(choices)}."
    parent = key.rpartition(".")[0]
    siblings = [known.rpartition(".")[2] for known in keys if parent and known.rpartition(".")[0] == parent]
    listed = f" {parent} has {', '.join(siblings)}." if siblings else ""
    return f"There is no key {key!r} in this configuration.{nearest(key, keys)}{listed} See --help for all of them."


def _field_names(node: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(node)}


def _bad_value(override: str, cause: OmegaConfBaseException | None) -> str:
    key, _, value = override.partition("=")
    reason = _one_line(str(cause)) if cause is not None else ""
    if "is not in struct" in reason or "not in" in reason:
        return _unknown_key(key.lstrip("+~"))
    expected = _expected_type(key.lstrip("+~"))
    if expected is None:
        return f"{key}={value} does not fit: {reason or 'see --cfg job for what does'}."
    return f"{key} must be {expected}, but is {value!r}."


_GROUPS = (
    "data",
    "model",
    "aug",
    "optimizer",
    "schedule",
    "trainer",
    "bank",
    "tracking",
    "paths",
    "experiment",
    "search",
)
_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def known_keys() -> Iterator[str]:
    """Every dotted key that some choice of groups knows."""
    seen: dict[str, None] = {}
    for field in dataclasses.fields(Config):
        nodes: list[Any] = [field.type, *NODES.get(field.name, {}).values()]
        inner = [node for node in nodes if dataclasses.is_dataclass(node)]
        seen |= {f"{field.name}.{leaf.name}": None for node in inner for leaf in dataclasses.fields(node)}
        if not inner:
            seen[field.name] = None
    yield from seen


def _expected_type(key: str) -> str | None:
    """The type of a key in words, from the dataclass that declares it."""
    group, _, leaf = key.partition(".")
    for field in dataclasses.fields(Config):
        if field.name != group:
            continue
        if not leaf:
            return _words(field.type)
        for node in [field.type, *NODES.get(group, {}).values()]:
            for inner in dataclasses.fields(node) if dataclasses.is_dataclass(node) else ():
                if inner.name == leaf:
                    return _words(inner.type)
    return None


def _words(annotation: Any) -> str | None:
    if annotation in _NAMES:
        return _NAMES[annotation]
    names = [_NAMES[member] for member in getattr(annotation, "__args__", ()) if member in _NAMES]
    if names and getattr(annotation, "__origin__", None) is list:
        return f"a list, each {names[0]}"
    return f"{names[0]} or null" if names else None
