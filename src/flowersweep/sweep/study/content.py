"""What a study's trainings read besides their configuration, identified by content and not by location."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowersweep.config import Config
from flowersweep.config.models import FineTunedConfig, FrozenConfig
from flowersweep.config.own_code import own_digests
from flowersweep.data.split_file import split_table, table_digest
from flowersweep.errors import CodeError, DataError, WeightsError
from flowersweep.tracking.store.store import prepare_store
from flowersweep.training.dataset import Found, find_pictures
from flowersweep.training.reuse.heads import weights_digest
from flowersweep.training.reuse.warm_start import best_start

# Identifies the location of a configuration's pictures.
Place = tuple[str, str | None, str | None, bool]


def place_of(config: Config) -> Place:
    """The location of a configuration's pictures."""
    return config.data.source, config.data.dir, config.paths.cache, config.data.split == "folders"


def find_all(configs: Iterable[Config]) -> dict[Place, Found]:
    """The pictures of all configurations; each location is read once.

    Raises:
        DataError: Pictures are missing.
    """
    by_place = {place_of(config): config for config in configs}
    return {place: find_pictures(config) for place, config in by_place.items()}


@dataclass(frozen=True)
class Content:
    """What trials read, as of the start of their sweep. Trials that would read something else are not run.

    Attributes:
        pictures: Fingerprints, by the location of the pictures.
        weights: Digests, by the value of `model.weights`.
        tables: Digests, by the value of `data.split_file`.
        code: Digests of the user's own code, by module.
        starts: Runs that `model.init_from=best` refers to, by backbone and fingerprint.
    """

    pictures: Mapping[Place, str]
    weights: Mapping[str | None, str]
    starts: Mapping[tuple[str, str], str]
    tables: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, configs: Iterable[Config], found: Mapping[Place, Found]) -> "Content":
        """Everything that trials with these configurations read.

        Args:
            configs: Together they have every option that is searched.
            found: Their pictures, from `find_all`.

        Raises:
            TrackingError: There is no run to start from.
        """
        weights: dict[str | None, str] = {}
        tables: dict[str, str] = {}
        code: dict[str, str] = {}
        starts: dict[tuple[str, str], str] = {}
        for config in configs:
            model, (_, fingerprint) = config.model, found[place_of(config)]
            code |= own_digests(config)
            if (file := config.data.split_file) is not None and file not in tables:
                tables[file] = table_digest(split_table(file))
            if isinstance(model, FrozenConfig) and model.weights not in weights:
                weights[model.weights] = weights_digest(model.weights)
            if isinstance(model, FineTunedConfig) and model.init_from == "best":
                start = (model.backbone, fingerprint)
                if start not in starts:
                    store = prepare_store(Path(config.tracking.dir), config.tracking.uri)
                    starts[start] = best_start(config, fingerprint, store)
        pictures = {place: fingerprint for place, (_, fingerprint) in found.items()}
        return cls(pictures, weights, starts, tables, code)

    def listed(self) -> dict[str, list[str]]:
        """By key, a digest or name for each location, in the order of the configurations; only keys that are read."""
        read: dict[str, Mapping[Any, str]] = {
            "data.dir": self.pictures,
            "data.split_file": self.tables,
            "model.weights": self.weights,
            "model.init_from": self.starts,
            "own code": self.code,
        }
        return {key: list(by_place.values()) for key, by_place in read.items() if by_place}

    def fingerprint(self, config: Config) -> str | None:
        """The fingerprint that a trial's pictures must have; None if it was not recorded at the start of the sweep."""
        return self.pictures.get(place_of(config))

    def held(self, config: Config) -> Config:
        """A trial's configuration, with the run that `model.init_from=best` referred to when the sweep started.

        Raises:
            WeightsError: The content of the weights' file has changed since.
            DataError: The content of data.split_file has changed since.
            CodeError: Code of the user's own has changed since.
        """
        for module, digest in own_digests(config).items():
            if self.code.get(module) not in {None, digest}:
                raise CodeError(
                    f"The code of {module} is no longer the one that the sweep started with; restore it, or start another "
                    "sweep with this one."
                )
        file = config.data.split_file
        if file is not None and self.tables.get(file) not in {None, table_digest(split_table(file))}:
            raise DataError(
                f"The split in {file} is no longer the one that the sweep started with; restore it, or start another sweep "
                "with this one."
            )
        model = config.model
        began_with = self.weights.get(model.weights) if isinstance(model, FrozenConfig) else None
        if isinstance(model, FrozenConfig) and began_with not in {None, weights_digest(model.weights)}:
            raise WeightsError(
                f"The weights in {model.weights} are no longer those that the sweep started with; restore those, or "
                "start another sweep with these."
            )
        if isinstance(model, FineTunedConfig) and model.init_from == "best":
            start = (model.backbone, self.fingerprint(config) or "")
            config = replace(config, model=replace(model, init_from=self.starts.get(start, "best")))
        return config
