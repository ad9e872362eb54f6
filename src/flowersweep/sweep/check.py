"""Compose what a sweep would compose, before any trial: a bad key or value ends here, in one sentence."""

from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import FloatDistribution, IntDistribution

from flowersweep import config as configuration
from flowersweep.errors import ConfigError, SweepError
from flowersweep.sweep.space import Space
from flowersweep.training.notices import tell_of_pictures_to_come

_CONDITION = " To search it with these only, say so in hydra.sweeper.conditions."
_WHOLE = " For whole numbers search int(interval(low, high))."


def check_choices(space: Space, config: DictConfig, loader: ConfigLoader) -> None:
    """Compose every option of every dimension once, and both ends of every interval.

    Args:
        space: What is searched.
        config: The sweep's own configuration.
        loader: Composes trials' configurations from it.

    Raises:
        SweepError: A composition fails, or gives a configuration that cannot be run.
    """
    for params in probes(space):
        overrides = space.overrides(params)
        try:
            composed = loader.load_sweep_config(config, overrides)
        except (HydraException, OmegaConfBaseException) as error:
            reason = configuration.explain(error)
            raise SweepError(
                f"A trial with {_words(overrides)} cannot be composed: {reason}{_hint(reason, space)}"
            ) from None
        if OmegaConf.get_type(composed) is configuration.Config:
            _check_values(composed, overrides)


def tell_of_first_trial(space: Space, config: DictConfig, loader: ConfigLoader) -> None:
    """Log what somebody would want to know of the pictures and settings; trials say nothing of it.

    Raises:
        DataError: The pictures are missing, unreadable or too few.
    """
    composed = loader.load_sweep_config(config, space.overrides(next(probes(space))))
    if OmegaConf.get_type(composed) is configuration.Config:
        with open_dict(composed):
            del composed["hydra"]
        tell_of_pictures_to_come(configuration.settings(composed))


def _hint(reason: str, space: Space) -> str:
    if "belongs to" in reason:
        return _CONDITION
    searches_floats = any(isinstance(found, FloatDistribution) for found in space.dimensions.values())
    return _WHOLE if searches_floats and "must be a whole number" in reason else ""


def probes(space: Space) -> Iterator[dict[str, Any]]:
    """Points that together have every option of every dimension, conditions respected."""
    base = next(_completed(space, {}))
    yield base
    for name, dimension in space.searched.items():
        options = [option.label for option in dimension.options] or _ends(dimension.distribution)
        for value in options:
            if base.get(name) != value:
                yield from _completed(space, {name: value})


def _completed(space: Space, chosen: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A legal point with these values: what they depend on as they need it, all else at its first value."""
    wanted, needing = dict(chosen), list(chosen)
    while needing:
        for parent, indices in space.searched[needing.pop()].when.items():
            if parent not in wanted:
                wanted[parent] = space.searched[parent].options[min(indices)].label
                needing.append(parent)
    for name, dimension in space.searched.items():
        first = dimension.options[0].label if dimension.options else _ends(dimension.distribution)[0]
        wanted.setdefault(name, first)
    kept: dict[str, Any] = {}
    for name in _parents_first(space):
        if all(
            parent in kept and space.searched[parent].index(kept[parent]) in indices
            for parent, indices in space.searched[name].when.items()
        ):
            kept[name] = wanted[name]
    yield {name: kept[name] for name in space.searched if name in kept}


def _parents_first(space: Space) -> list[str]:
    ordered: list[str] = []
    waiting = list(space.searched)
    while waiting:
        name = next(
            name for name in waiting if all(parent in ordered for parent in space.searched[name].when)
        )
        ordered.append(name)
        waiting.remove(name)
    return ordered


def _ends(distribution: Any) -> list[Any]:
    assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101 (others have options)
    return [distribution.low, distribution.high]


def _check_values(composed: DictConfig, overrides: list[str]) -> None:
    with open_dict(composed):
        del composed["hydra"]
    try:
        configuration.settings(composed)
    except ConfigError as error:
        raise SweepError(f"A trial with {_words(overrides)} cannot run: {error}") from None


def _words(overrides: list[str]) -> str:
    return " ".join(overrides) or "no overrides"
