"""Overrides as they are given in Python, turned into the arguments of the command line."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig

from flowersweep.errors import ConfigError, SweepError
from flowersweep.sweep.space.values import text_of

Overrides = Sequence[str] | Mapping[str, Any] | DictConfig

# The flags that name the user's own files of configuration.
_FLAGS = ("--config-dir", "-cd", "--config-name", "-cn")
_GROUPS = ("sampler", "pruner")
# Sweepers that have no study, and what would make a sweep of a training.
_ELSEWHERE = re.compile(r"\+*hydra(/sweeper=(?!study$)|\.mode=)")


def as_words(overrides: Overrides) -> list[str]:
    """The arguments that mean the same on the command line.

    Args:
        overrides: Texts in Hydra's grammar, as on the command line; values by key, of which texts are in Hydra's grammar,
            too; or a configuration that `hydra.compose` made.

    Raises:
        ConfigError: They are something else.
    """
    return list(_checked(_words(overrides)))


def _words(overrides: Overrides) -> list[str]:
    if isinstance(overrides, DictConfig):
        from flowersweep.api.composed import overrides_of

        return overrides_of(overrides)
    if isinstance(overrides, Mapping):
        return [_word(str(key), value) for key, value in overrides.items()]
    if isinstance(overrides, str) or not isinstance(overrides, Sequence):
        raise ConfigError(
            f"Overrides are a list of texts, as in ['model=cnn', 'trainer.epochs=5'], or a dict, but these are {overrides!r}."
        )
    return list(overrides)


def sweeper_words(settings: Mapping[str, Any]) -> list[str]:
    """Settings of `hydra.sweeper` by name, as arguments; sampler and pruner are groups."""
    return [
        _setting(name, value) for name, value in settings.items() if not (value is None and name in _GROUPS)
    ]


def _setting(name: str, value: Any) -> str:
    if name in _GROUPS:
        return f"hydra/sweeper/{name}={value}"
    # The keys of a dict are new ones, for example those that are searched.
    return _word(f"{'++' if isinstance(value, Mapping) else ''}hydra.sweeper.{name}", value)


def _checked(words: Sequence[str]) -> Iterator[str]:
    value_follows = False
    for word in words:
        if not isinstance(word, str):
            raise ConfigError(f"An override is a text, as in 'trainer.epochs=5', but one is {word!r}.")
        if word in {"-m", "--multirun"}:
            raise ConfigError(
                f"{word} is for the command line; flowersweep.sweep runs a sweep, and train one training."
            )
        if not value_follows and word.startswith("-") and word.partition("=")[0] not in _FLAGS:
            raise ConfigError(
                f"{word} is for the command line; here only overrides and {_FLAGS[0]} are possible."
            )
        if _ELSEWHERE.match(word):
            raise ConfigError(f"{word} has no result in Python; leave it out, or use the command line.")
        value_follows = word in _FLAGS
        yield word
    if value_follows:
        raise ConfigError(f"{word} is without its value; write it as in '{_FLAGS[0]}=FOLDER'.")


def _word(key: str, value: Any) -> str:
    if key.startswith("~") and value is None:
        return key
    if isinstance(value, list) and "." not in key:
        raise ConfigError(
            f"{key} has a list as its value, but takes one; to search several in a sweep, write them as one text: "
            f"{','.join(map(str, value))!r}."
        )
    return f"{key}={value if isinstance(value, str) else _text(key, value)}"


def _plain(key: str, value: Any) -> Any:
    """A value with the numbers of NumPy in it as Python's, which are the ones that have a text."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, Mapping):
        return {_plain(key, name): _plain(key, one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(key, one) for one in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, str | bool | int | float | None):
        return value
    raise ConfigError(
        f"{key} has a value of type {type(value).__name__}; a value is a text, a number, a boolean, None, a list or a dict, and "
        "several values to search are one text, as in 'none,RandomFlip'."
    )


def _text(key: str, value: Any) -> str:
    try:
        return text_of(_plain(key, value))
    except SweepError as error:
        raise ConfigError(f"{key}: {error}") from None
