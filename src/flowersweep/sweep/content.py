"""What a study's trainings read besides their configuration, known by its content and not by where it lies."""

from collections.abc import Hashable, Iterable
from pathlib import Path

from flowersweep.config import Config
from flowersweep.config.schema import FineTunedConfig, FrozenConfig
from flowersweep.tracking.store import prepare_store
from flowersweep.training.heads import weights_digest
from flowersweep.training.pictures import find_pictures
from flowersweep.training.warm_start import best_start


def contents(configs: Iterable[Config]) -> dict[str, list[str]]:
    """The content of everything that trials with these configurations read, in the order of the configurations.

    Args:
        configs: Together they have every option that is searched.

    Returns:
        By key, a digest or name for each distinct value that the key has; a key that nothing is read through is
        left out.

    Raises:
        DataError: Pictures are missing.
        TrackingError: There is no run to begin with.
    """
    pictures: dict[Hashable, str] = {}
    weights: dict[Hashable, str] = {}
    starts: dict[Hashable, str] = {}
    for config in configs:
        data, model = config.data, config.model
        place = (data.source, data.dir, config.paths.cache)
        if place not in pictures:
            pictures[place] = find_pictures(config)[1]
        if isinstance(model, FrozenConfig) and model.weights not in weights:
            weights[model.weights] = weights_digest(model.weights)
        if isinstance(model, FineTunedConfig) and model.init_from == "best":
            start = (model.backbone, pictures[place])
            if start not in starts:
                store = prepare_store(Path(config.tracking.dir), config.tracking.uri)
                starts[start] = best_start(config, pictures[place], store)
    found = {"data.dir": pictures, "model.weights": weights, "model.init_from": starts}
    return {key: list(by_place.values()) for key, by_place in found.items() if by_place}
