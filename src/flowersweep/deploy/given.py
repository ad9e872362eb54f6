"""Values of arguments that are no plain texts."""

from collections.abc import Mapping

from flowersweep.commands.arguments import Argument
from flowersweep.errors import ConfigError

BATCH_SIZE = Argument("batch_size", "pictures that are in memory at a time", "N", default="32")


def whole_number(values: Mapping[str, str | None], name: str, *, low: int = 1, high: int = 100_000) -> int:
    """A whole number within bounds.

    Raises:
        ConfigError: It is none.
    """
    text = values[name] or ""
    if not (text.isdecimal() and low <= int(text) <= high):
        raise ConfigError(f"{name} must be a whole number from {low} to {high}, but is {text!r}.")
    return int(text)
