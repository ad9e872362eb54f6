"""Which options of the sampler were set explicitly, in a file or on the command line."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf, flag_override


def explicit_options(config: DictConfig, loader: ConfigLoader) -> frozenset[str]:
    """The options of `hydra.sweeper.sampler` that the user's files or the command line set, with any value.

    In a composed configuration, such a value cannot be distinguished from an equal default. So the configuration is composed
    again while the samplers' dataclasses have no defaults: what has a value then was set.

    Args:
        config: The sweep's configuration, with the `hydra` node.
        loader: That has composed it.
    """
    typed = OmegaConf.to_container(config.hydra.overrides, resolve=False)
    assert isinstance(typed, dict)  # noqa: S101 (Hydra's own)
    overrides = [*typed["hydra"], *typed["task"]]
    with _without_defaults():
        composed = loader.load_configuration(config.hydra.job.config_name, overrides, RunMode.MULTIRUN)
    sampler = OmegaConf.to_container(composed.hydra.sweeper.sampler, resolve=False)
    assert isinstance(sampler, dict)  # noqa: S101 (it is one of these nodes)
    return frozenset(str(key) for key, value in sampler.items() if value != MISSING)


@contextmanager
def _without_defaults() -> Iterator[None]:
    """Remove the defaults from the registered samplers during the block."""
    group = ConfigStore.instance().repo["hydra"]["sweeper"]["sampler"]
    before = dict(group)
    group.update(
        {
            name: dataclasses.replace(entry, node=_unset(entry))
            for name, entry in before.items()
            if isinstance(entry, ConfigNode)  # others are groups below this one
        }
    )
    try:
        yield
    finally:
        group.update(before)


def _unset(entry: ConfigNode) -> DictConfig:
    """A copy in which every option with the default of its dataclass is missing; those of other samplers are all set."""
    node = entry.node.copy()
    given = OmegaConf.to_container(node, resolve=False)
    assert isinstance(given, dict)  # noqa: S101 (a sampler has keys)
    with flag_override(node, ["readonly", "struct"], [False, False]):
        for name, default in defaults_of(node).items():
            if not name.startswith("_") and given.get(name) == default:
                node[name] = MISSING
    return node


def defaults_of(node: DictConfig) -> dict[str, object]:
    """The defaults of a sampler's dataclass, which nobody has chosen; empty for one that the user has written."""
    kind = OmegaConf.get_type(node)
    if kind is None or not kind.__module__.startswith(("hydra_plugins.", "flowersweep.")):
        return {}
    return (
        {field.name: field.default for field in dataclasses.fields(kind)}
        if dataclasses.is_dataclass(kind)
        else {}
    )
