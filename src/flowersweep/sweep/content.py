"""What a study's trainings read besides their configuration, known by its content and not by where it lies."""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from flowersweep.config import Config
from flowersweep.config.schema import FineTunedConfig, FrozenConfig
from flowersweep.tracking.store import prepare_store
from flowersweep.training.heads import weights_digest
from flowersweep.training.pictures import Found, find_pictures
from flowersweep.training.warm_start import best_start

# What tells where a configuration's pictures are.
Place = tuple[str, str | None, str | None]


def place_of(config: Config) -> Place:
    """Where a configuration's pictures are."""
    return config.data.source, config.data.dir, config.paths.cache


def find_all(configs: Iterable[Config]) -> dict[Place, Found]:
    """The pictures of all configurations, each place looked into once.

    Raises:
        DataError: Pictures are missing.
    """
    by_place = {place_of(config): config for config in configs}
    return {place: find_pictures(config) for place, config in by_place.items()}


def contents(configs: Iterable[Config], found: Mapping[Place, Found]) -> dict[str, list[str]]:
    """The content of everything that trials with these configurations read, in the order of the configurations.

    Args:
        configs: Together they have every option that is searched.
        found: Their pictures, from `find_all`.

    Returns:
        By key, a digest or name for each distinct value that the key has; a key that nothing is read through is
        left out.

    Raises:
        TrackingError: There is no run to begin with.
    """
    weights: dict[Hashable, str] = {}
    starts: dict[Hashable, str] = {}
    for config in configs:
        model, (_, fingerprint) = config.model, found[place_of(config)]
        if isinstance(model, FrozenConfig) and model.weights not in weights:
            weights[model.weights] = weights_digest(model.weights)
        if isinstance(model, FineTunedConfig) and model.init_from == "best":
            start = (model.backbone, fingerprint)
            if start not in starts:
                store = prepare_store(Path(config.tracking.dir), config.tracking.uri)
                starts[start] = best_start(config, fingerprint, store)
    pictures = {place: fingerprint for place, (_, fingerprint) in found.items()}
    read: dict[str, Mapping[Any, str]] = {
        "data.dir": pictures,
        "model.weights": weights,
        "model.init_from": starts,
    }
    return {key: list(by_place.values()) for key, by_place in read.items() if by_place}
