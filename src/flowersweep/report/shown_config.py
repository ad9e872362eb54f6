"""The configuration of a run as the page shows it: without the folders of the machine that trained it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from flowersweep.redaction import redacted

# An absolute path, or the address of a SQLite file with one.
_ABSOLUTE = re.compile(r"(sqlite(\+\w+)?:///)?(/|[A-Za-z]:[\\/]|\\\\)")


def shown_config(text: str, overrides: Sequence[str]) -> str:
    """A configuration in which each absolute path is replaced by what was typed, or left out if nobody typed it.

    Args:
        text: The configuration that a run has stored, as YAML; its paths were made absolute.
        overrides: The overrides of the run.
    """
    if not text:
        return ""
    plain = OmegaConf.to_container(OmegaConf.create(text))
    assert isinstance(plain, dict)  # noqa: S101 (a run stores a mapping)
    return redacted(OmegaConf.to_yaml(OmegaConf.create(_as_typed(plain, overrides))))


def _as_typed(node: Mapping[Any, Any], overrides: Sequence[str], prefix: str = "") -> dict[Any, Any]:
    found = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        shown = value
        if isinstance(value, Mapping):
            shown = _as_typed(value, overrides, f"{name}.")
        elif _is_absolute(value):
            shown = _typed(name, overrides)
        if shown or not value:
            found[key] = shown
    return found


def _typed(key: str, overrides: Sequence[str]) -> Any:
    """The value that the last override gives a key; None if there is no such override."""
    given = [one for one in overrides if one.lstrip("+").startswith(f"{key}=")]
    if not given:
        return None
    try:
        return OverridesParser.create().parse_override(given[-1]).value()
    except HydraException:  # one line of a value with several lines
        return None


def _is_absolute(value: object) -> bool:
    texts = value if isinstance(value, list) else [value]
    return any(isinstance(text, str) and _ABSOLUTE.match(text) for text in texts)
