"""The spelling of a search before `params`: `hydra.sweeper.search_space` of hydra-optuna-sweeper 1.1."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from flowersweep.errors import SweepError
from flowersweep.sweep.space.values import text_of

SETTING = "hydra.sweeper.search_space"
_KEYS = {
    "categorical": {"choices"},
    "int": {"low", "high", "step", "log"},
    "float": {"low", "high", "step", "log"},
}


def as_params(search_space: Mapping[str, Any]) -> dict[str, str]:
    """The same search in the grammar of `hydra.sweeper.params`.

    Args:
        search_space: By key a mapping such as {type: float, low: 0, high: 1, step: 0.5}, whose `high` is included.

    Raises:
        SweepError: An entry is no such mapping.
    """
    return {str(key): _sweep(f"{SETTING}.{key}", entry) for key, entry in search_space.items()}


def _sweep(key: str, entry: Any) -> str:
    kind = entry.get("type") if isinstance(entry, Mapping) else None
    if kind not in _KEYS:
        raise SweepError(
            f"{key} must be a mapping with the type categorical, int or float, but is {entry!r}; "
            "hydra.sweeper.params is the current spelling."
        )
    if unknown := sorted(set(entry) - _KEYS[kind] - {"type"}):
        raise SweepError(
            f"{key} has the unknown key {unknown[0]}; known keys: {', '.join(sorted(_KEYS[kind]))}."
        )
    if kind == "categorical":
        choices = entry.get("choices")
        if not isinstance(choices, list) or not choices:
            raise SweepError(f"{key} must have a list of choices, but has {choices!r}.")
        return f"choice({','.join(map(text_of, choices))})"
    number = int if kind == "int" else float
    try:
        low, high, step = number(entry["low"]), number(entry["high"]), number(entry.get("step") or 0)
    except (KeyError, TypeError, ValueError):
        raise SweepError(
            f"{key} must have numbers as low and high, and may have a step, but is {entry!r}."
        ) from None
    interval = f"int(interval({low},{high}))" if kind == "int" else f"interval({low},{high})"
    if entry.get("log"):
        return f"tag(log,{interval})"
    if step == 0 or (kind == "int" and step == 1):
        return interval
    size, start = Fraction(str(step)), Fraction(str(low))
    stop = start + ((Fraction(str(high)) - start) // size + 1) * size
    return f"range({low},{number(stop)},{step})"
