"""Compose what a sweep would compose, before any trial, so that a bad key or value is reported at once."""

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import optuna
from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import FloatDistribution, IntDistribution

from flowersweep import config as configuration
from flowersweep.errors import ConfigError, SweepError
from flowersweep.own.permission import refuse_environment
from flowersweep.sweep.space.custom import SETTING
from flowersweep.sweep.space.dimension import Dimension, Option
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.space.values import leaves

log = logging.getLogger(__name__)

# Of a range with more numbers, this many are composed; each takes some hundredths of a second.
MAX_NUMBERS = 32
TELL_SECONDS = 2.0

_CONDITION = " To search it only with these, add a condition in hydra.sweeper.conditions."
_WHOLE = " For integers, search int(interval(low, high))."


def check_choices(
    space: Space, config: DictConfig, loader: ConfigLoader, n_repeats: int = 1
) -> list[configuration.Config]:
    """Compose every option of every dimension once, and both ends of every interval; for many numbers, a sample.

    Args:
        space: What is searched.
        config: The sweep's own configuration.
        loader: Composes trials' configurations from it.
        n_repeats: Of the sweep; values that refer to the seed are checked for each of them.

    Returns:
        The composed configurations; empty for an application with its own configuration.

    Raises:
        SweepError: A composition fails, or its configuration is invalid.
    """
    checked = []
    tell_at = time.monotonic() + TELL_SECONDS
    for params in itertools.chain(probes(space), _extended(space)):
        if time.monotonic() > tell_at:
            log.info("Checking the configurations of all trials; the first one starts after that.")
            tell_at = float("inf")
        overrides = space.overrides(params)
        composed = _composed(overrides, config, loader)
        if isinstance(composed, str):
            raise SweepError(_refusal(space, params, composed, _composes(space, config, loader)))
        if OmegaConf.get_type(composed) is configuration.Config:
            refuse_environment(composed.hydra.job)
            checked.extend(_checked(composed, overrides, n_repeats))
    return checked


def _composed(overrides: list[str], config: DictConfig, loader: ConfigLoader) -> DictConfig | str:
    """The configuration of a trial, or why there is none."""
    try:
        return loader.load_sweep_config(config, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        return _explained(error, config)
    except Exception as error:
        if (reason := configuration.explain_plain(error)) is None:
            raise
        return reason


def _explained(error: Exception, config: DictConfig) -> str:
    if OmegaConf.get_type(config) is configuration.Config:
        return configuration.explain(error)
    keys = (str(key) for key, _ in leaves(cast("dict[str, Any]", OmegaConf.to_container(config))))
    return configuration.explain_other(error, [key for key in keys if not key.startswith("hydra.")])


def _composes(space: Space, config: DictConfig, loader: ConfigLoader) -> Callable[[Mapping[str, Any]], bool]:
    def composes(params: Mapping[str, Any]) -> bool:
        return not isinstance(_composed(space.overrides(params), config, loader), str)

    return composes


def _refusal(
    space: Space, params: Mapping[str, Any], reason: str, composes: Callable[[Mapping[str, Any]], bool]
) -> str:
    for name, line in space.given.items():
        group = name.partition(".")[0]
        if f"'{name}'" not in reason or group == name or group not in space.searched:
            continue
        options = space.searched[group].options
        without = [
            option.text
            for option in options
            if not composes(next(_completed(space, {**params, group: option.label})))
        ]
        others = [option.text for option in options if option.text not in without]
        if others:
            return (
                f"{line} cannot be given to every trial, as {group}={' and '.join(without)} "
                f"{'has' if len(without) == 1 else 'have'} no such key; to give it only to the others, add "
                f"'+hydra.sweeper.conditions={{{name}: {{{group}: [{', '.join(others)}]}}}}'."
            )
    overrides = _words(space.overrides(params))
    return f"A trial with {overrides} cannot be composed: {reason}{_hint(reason, space)}"


def _hint(reason: str, space: Space) -> str:
    if "belongs to" in reason and any(f"'{name}." in reason for name in space.searched):
        return _CONDITION
    searches_floats = any(isinstance(found, FloatDistribution) for found in space.dimensions.values())
    return _WHOLE if searches_floats and "must be an integer" in reason else ""


def probes(space: Space) -> Iterator[dict[str, Any]]:
    """Points that together have every option of every dimension under its conditions; for many numbers, a sample."""
    base = next(_completed(space, {}))
    yield base
    for name, dimension in space.searched.items():
        options = _sample(dimension) or _ends(dimension.distribution)
        for value in options:
            if base.get(name) != value:
                yield from _completed(space, {name: value})


def _extended(space: Space) -> Iterator[dict[str, Any]]:
    """A point with what the program adds to it; none if it adds nothing."""
    if space.extension is None:
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # as in `open_storage`
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    study.enqueue_trial(next(probes(space)))
    try:
        yield space.suggest(study.ask())
    except SweepError:
        raise
    except Exception as error:
        raise SweepError(f"{SETTING} failed: {type(error).__name__}: {error}") from error


def _sample(dimension: Dimension) -> list[Any]:
    """The options; of more than `MAX_NUMBERS` numbers of a type, only that many, including the smallest and the largest."""
    kinds: dict[type[Any], list[Option]] = {}
    for option in dimension.options:
        kinds.setdefault(type(option.value), []).append(option)
    kept: set[str] = set()
    for kind, options in kinds.items():
        chosen = options
        if kind in {int, float} and len(options) > MAX_NUMBERS:
            ordered = sorted(options, key=lambda option: option.value)
            last = len(ordered) - 1
            chosen = [ordered[round(place * last / (MAX_NUMBERS - 1))] for place in range(MAX_NUMBERS)]
        kept.update(option.text for option in chosen)
    return [option.label for option in dimension.options if option.text in kept]


def _completed(space: Space, chosen: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A legal point with these values: the keys they depend on get a matching value, all others their first value."""
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


def _checked(composed: DictConfig, overrides: list[str], n_repeats: int) -> list[configuration.Config]:
    with open_dict(composed):
        del composed["hydra"]
    try:
        return configuration.repeats(composed, n_repeats)
    except ConfigError as error:
        raise SweepError(f"A trial with {_words(overrides)} cannot run: {error}") from None


def _words(overrides: list[str]) -> str:
    return " ".join(overrides) or "no overrides"
