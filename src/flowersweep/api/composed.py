"""A configuration that `hydra.compose` made, turned back into overrides: a run records them, and a sweep needs the groups."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from flowersweep import config
from flowersweep.config.schema import NODES, Config
from flowersweep.errors import ConfigError
from flowersweep.sweep.space.overrides import typed_overrides
from flowersweep.sweep.space.values import text_of

_GROUPS = (*NODES, "data", "trainer")


def overrides_of(given: DictConfig) -> list[str]:
    """The arguments with which the command line composes this configuration.

    With its `hydra` node (`return_hydra_config=True`) they are those it was composed with; otherwise the choices of its groups
    are found by their types and values. Values that were changed afterwards are added.

    Args:
        given: A complete configuration of this program.

    Raises:
        ConfigError: It is something else.
    """
    if OmegaConf.get_type(given) is not Config:
        raise ConfigError(
            "The configuration is not one of flowersweep; compose it after flowersweep.config.prepare(), as in "
            "hydra.compose('config') in flowersweep.config.conf_dir(), or give the overrides."
        )
    config.prepare()
    with config.composing(), _initialized():
        if "hydra" in given:
            words = [word for whose in ("hydra", "task") for word in typed_overrides(given, whose)]
            return [*config.flags(given), *words, *_changed(compose("config", words), given)]
        default = compose("config")
        words = [
            word for group in _GROUPS if (word := _choice(group, given[group], default[group])) is not None
        ]
        return [*words, *_changed(compose("config", words), given)]


@contextmanager
def _initialized() -> Iterator[None]:
    """Compose this program's configurations in the block; Hydra may be initialized for others outside, and stays so."""
    outside = GlobalHydra.instance()
    hydra, outside.hydra = outside.hydra, None
    try:
        with initialize_config_dir(str(config.conf_dir())):
            yield
    finally:
        GlobalHydra.instance().hydra = hydra


def _choice(group: str, node: DictConfig, default: DictConfig) -> str | None:
    """The override that selects the choice of a group; None for its default."""
    names = GlobalHydra.instance().config_loader().get_group_options(group)
    likely = [None, *(name for name in names if name in {node.get("name"), node.get("source")})]
    best: tuple[int, str | None] | None = None
    for name in dict.fromkeys([*likely, *names]):
        word = None if name is None else f"{group}={name}"
        found = default if word is None else compose("config", [word])[group]
        if OmegaConf.get_type(found) is not OmegaConf.get_type(node):
            continue
        n_changes = len(list(_changes(found, node)))
        if best is None or n_changes < best[0]:
            best = n_changes, word
        if n_changes == 0 or name == likely[-1]:
            break
    return best[1] if best else None


def _changed(composed: DictConfig, given: DictConfig) -> list[str]:
    """The values that were changed, as overrides."""
    for key in sorted(OmegaConf.missing_keys(given) - OmegaConf.missing_keys(composed)):
        if not key.startswith("hydra."):
            raise ConfigError(f"{key} has no value in the configuration (???); give it one.")
    return list(_changes(composed, given))


def _changes(composed: DictConfig, given: DictConfig) -> Iterator[str]:
    """The values of a configuration that differ from those of another one, as overrides."""
    before, now = (OmegaConf.to_container(one, resolve=False) for one in (composed, given))
    assert isinstance(before, dict)  # noqa: S101 (a DictConfig is a mapping)
    assert isinstance(now, dict)  # noqa: S101 (as above)
    yield from _differences(before, {key: value for key, value in now.items() if key != "hydra"}, "")


def _differences(before: Mapping[Any, Any], now: Mapping[Any, Any], prefix: str) -> Iterator[str]:
    for key, value in now.items():
        old = before.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and set(old) == set(value):
            yield from _differences(old, value, f"{prefix}{key}.")
        elif value not in (old, "???"):
            yield f"{prefix}{key}={_text(value)}"


def _text(value: Any) -> str:
    """The text of a value; that of a reference to another value, as in `${seed}`, stays one."""
    if isinstance(value, str) and "${" in value:
        quoted = value.replace("'", "\\'")
        return f"'{quoted}'"
    return text_of(value)
