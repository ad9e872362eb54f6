"""Check a composed configuration against the rules of its dataclasses and against those across groups."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, flag_override
from omegaconf.errors import (
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from flowersweep.config.locations import locate
from flowersweep.config.rules import conflicts, require_weights
from flowersweep.config.schema import Config
from flowersweep.errors import ConfigError
from flowersweep.fields import RULE_KEY, Rule
from flowersweep.texts import nearest


def settings(cfg: DictConfig, base: Path | None = None) -> Config:
    """Convert a composed configuration to typed objects with legal values and absolute paths.

    Args:
        cfg: As composed by Hydra, without its `hydra` node.
        base: The directory that relative paths refer to; the current one if None.

    Returns:
        The same configuration as dataclass instances, interpolations resolved.

    Raises:
        ConfigError: A value is missing, out of range, or conflicts with another; all problems in one message.
        WeightsError: Everything is valid, but the file of the model's weights is missing.

    Example:
        >>> from hydra import compose, initialize_config_dir
        >>> from flowersweep import config
        >>> config.prepare()
        >>> with initialize_config_dir(str(config.conf_dir())):
        ...     composed = compose("config", overrides=["data=demo", "optimizer.learning_rate=0.002"])
        >>> config.settings(composed).optimizer.learning_rate
        0.002
    """
    problems = [*_missing(cfg), *_illegal(cfg)]
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        config = OmegaConf.to_object(cfg)
    except OmegaConfBaseException as error:
        raise ConfigError(_first_line(error)) from None
    if not isinstance(config, Config):
        raise ConfigError(
            "The configuration has no schema; call `flowersweep.config.prepare()` before composing."
        )
    locate(config, base or Path.cwd())
    if problems := list(conflicts(config)):
        raise ConfigError("\n".join(problems))
    if config.data.folds is not None and config.data.fold is None:
        config.data.fold = 0
    require_weights(config)
    return config


def repeats(cfg: DictConfig, count: int, base: Path | None = None) -> list[Config]:
    """The settings of several trainings with the seeds `seed`, `seed + 1` and so on.

    Values that refer to the seed, as in `data.split_seed=${seed}`, follow it. With `data.folds`, repeat i uses fold i,
    counted again from 0 after the last one, unless `data.fold` is given.

    Args:
        cfg: As for `settings`; it is not changed.
        count: Number of trainings.
        base: As for `settings`.

    Raises:
        ConfigError: As `settings` does, for any of them.
    """
    first = settings(cfg, base)
    configs = [first, *(settings(_repeat(cfg, first, more), base) for more in range(1, count))]
    if first.data.folds is not None and len({config.data.split_seed for config in configs}) > 1:
        raise ConfigError(
            "data.split_seed refers to the seed, but with data.folds all repeats need the same folds; give it a number."
        )
    return configs


def _repeat(cfg: DictConfig, first: Config, number: int) -> DictConfig:
    seeded = cfg.copy()
    with flag_override(seeded, ["readonly"], [False]):
        seeded.seed = first.seed + number
        if first.data.folds is not None and seeded.data.fold is None:
            seeded.data.fold = number % first.data.folds
    # OmegaConf caches the results of some resolvers by the text of their arguments. A fixed time, such as ${now:%H},
    # stays; a reference to another value may depend on the seed.
    remembered = OmegaConf.get_cache(cfg)
    OmegaConf.clear_cache(seeded)
    for resolver, results in remembered.items():
        kept = {text: result for text, result in results.items() if "${" not in str(text)}
        OmegaConf.get_cache(seeded)[resolver] = kept
    return seeded


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _missing(cfg: DictConfig) -> Iterator[str]:
    missing = (key for key in OmegaConf.missing_keys(cfg) if not _is_reference(cfg, key))
    for key in sorted({*missing, *_removed(cfg)}):
        yield f"{key} has no value; give it one on the command line: {key}=VALUE."


def _is_reference(cfg: DictConfig, key: str) -> bool:
    """Whether a value is that of another key, which is what has none."""
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    return isinstance(node, DictConfig) and OmegaConf.is_interpolation(node, leaf)


def _removed(node: Any, prefix: str = "") -> Iterator[str]:
    """Keys that were removed, as by `~seed`."""
    if not isinstance(node, DictConfig):
        return
    node_type = OmegaConf.get_type(node)
    for field in dataclasses.fields(node_type) if dataclasses.is_dataclass(node_type) else ():
        if field.name not in node:
            yield f"{prefix}{field.name}"
    for key in map(str, node):
        if key in node and not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
            yield from _removed(node[key], f"{prefix}{key}.")


def _illegal(node: Any, path: str = "") -> Iterator[str]:
    """Every value below `node` that its field's rule does not accept."""
    if not isinstance(node, DictConfig):
        return
    node_type = OmegaConf.get_type(node)
    fields = (
        {field.name: field for field in dataclasses.fields(node_type)}
        if dataclasses.is_dataclass(node_type)
        else {}
    )
    for key in node:
        name = f"{path}.{key!s}" if path else str(key)
        if OmegaConf.is_missing(node, key):
            continue
        try:
            value = node[key]
        except InterpolationToMissingValueError:
            continue  # of the other key it is said that it has no value
        except (InterpolationResolutionError, MissingMandatoryValue) as error:
            yield f"{name} cannot be resolved: {_first_line(error)}"
            continue
        except OmegaConfBaseException as error:
            yield f"{name} is not legal: {_first_line(error)}"
            continue
        if isinstance(value, DictConfig):
            yield from _illegal(value, name)
            continue
        if fields and str(key) not in fields:
            yield f"There is no key {name!r} in this configuration.{nearest(str(key), list(fields))} Remove it."
            continue
        rule = fields[str(key)].metadata.get(RULE_KEY) if fields else None
        if rule is not None and value is not None:
            yield from _rule_broken(name, value, rule)


def _rule_broken(name: str, value: Any, rule: Rule) -> Iterator[str]:
    items = list(value) if isinstance(value, ListConfig) else [value]
    if isinstance(value, ListConfig) and not items:
        yield f"{name} must contain at least one value, but is empty; each must be {rule.allowed}."
    for item in items:
        if not rule.accepts(item):
            yield f"{name} must be {rule.allowed}, but is {item!r}.{nearest(item, rule.choices)}"
