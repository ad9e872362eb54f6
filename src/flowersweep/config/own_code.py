"""The code of the user's own that a configuration names: augmentations, the builder of a network, and callbacks."""

from collections.abc import Iterator, Mapping
from typing import Any

from flowersweep.config.models import OwnConfig
from flowersweep.config.schema import Config
from flowersweep.errors import ConfigError
from flowersweep.own.code import CALLBACKS, MODELS, Code, find


def own_code(config: Config) -> list[Code]:
    """All of it, without importing it.

    Raises:
        ConfigError: Some of it may not be imported, or does not exist.
    """
    callbacks = [code for code, _ in own_callbacks(config)]
    return [*config.aug.own_code(), *own_builder(config), *callbacks]


def own_digests(config: Config) -> dict[str, str]:
    """The digest of each of its modules or packages."""
    return {code.module: code.digest for code in own_code(config)}


def own_builder(config: Config) -> list[Code]:
    """The builder of the network; empty for a network of this package."""
    return [find_builder(config.model.build)] if isinstance(config.model, OwnConfig) else []


def find_builder(build: str) -> Code:
    """The builder that model.build names."""
    return find("model.build", build, MODELS)


def own_callbacks(config: Config) -> list[tuple[Code, dict[str, Any]]]:
    """The callbacks with their arguments."""
    return [(find("trainer.callbacks", build, CALLBACKS), given) for build, given in _specs(config)]


def _specs(config: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    for spec in config.trainer.callbacks:
        given = {"build": spec} if isinstance(spec, str) else spec
        known = isinstance(given, Mapping) and set(given) <= {"build", "arguments"}
        arguments = given.get("arguments", {}) if known else None
        if not known or not isinstance(given.get("build"), str) or not isinstance(arguments, Mapping):
            raise ConfigError(
                "Each of trainer.callbacks must be a name, as in my_module.MyCallback, or a mapping, as in {build: "
                f"my_module.MyCallback, arguments: {{}}}}, but one is {spec!r}."
            )
        yield given["build"], {str(name): value for name, value in arguments.items()}
