"""Hydra's state, which belongs to the process: what one module of tests tells Hydra, the next one must not know."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins


@contextmanager
def hydra_restored() -> Iterator[None]:
    """Take back what the block registers with Hydra, and leave Hydra uninitialized before and after it.

    A group that stays known, for instance, turns a key of the same name in another application into a choice of that
    group, which Hydra then refuses.
    """
    Plugins.instance()  # plugins register their configurations as they are found, once in a process: these stay
    registered = _copied(ConfigStore.instance().repo)
    _uninitialize()
    try:
        yield
    finally:
        ConfigStore.instance().repo = registered
        _uninitialize()


def _uninitialize() -> None:
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


def _copied(groups: dict[str, Any]) -> dict[str, Any]:
    return {name: _copied(found) if isinstance(found, dict) else found for name, found in groups.items()}
