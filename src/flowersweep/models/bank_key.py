"""The key of stored features: everything they depend on, and its digest.

Importing this module imports neither Keras nor TensorFlow.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep import augment
from flowersweep.augment import Augmentation
from flowersweep.augment.base import NoAugmentation

if TYPE_CHECKING:
    import keras

# Increase it when the same inputs give different features than before.
VERSION = 1


@dataclass(frozen=True)
class BankKey:
    """Everything the features of one part depend on.

    Attributes:
        data: Fingerprint of the data set.
        part: `part_digest` of the pictures' indices.
        pictures: Their number, for display.
        source_size: Side length of the decoded pictures in pixels.
        image_size: Side length of the prefix's input.
        prefix: `prefix_digest` of the prefix.
        network: The prefix's name and the shape of its features, for display.
        cut: Index of the backbone's layer at which it ends, for display.
        augmentation: Name, seed and parameters; None without augmentation, where a seed has no effect.
        dtype: "float16" or "float32".
        engine: Name and version of the engine.
        code: `code_digest` of the code that creates an augmented picture from a file.
        resizing: As data.resize.
        version: Version of the storage format.
    """

    data: str
    part: str
    pictures: int
    source_size: int
    image_size: int
    prefix: str
    network: str
    cut: int | None
    augmentation: dict[str, Any] | None
    dtype: str
    engine: str
    code: str
    resizing: str = "stretch"
    version: int = VERSION

    @property
    def digest(self) -> str:
        """32 hexadecimal digits: the name of the bank's folder."""
        return _digest(json.dumps(dataclasses.asdict(self), sort_keys=True).encode())


def part_digest(indices: npt.NDArray[np.int64]) -> str:
    """A digest of a selection of pictures and their order."""
    return _digest(np.ascontiguousarray(indices, "<i8").tobytes())


def augmentation_settings(augmentation: Augmentation | None) -> dict[str, Any] | None:
    """The settings that the draws of an augmentation depend on, or None if it leaves the pictures unchanged."""
    if augmentation is None or isinstance(augmentation, NoAugmentation):
        return None
    settings = dataclasses.asdict(augmentation)
    del settings["cycle"]  # determines which draws are used, not their values
    if own := [code.digest for code in augmentation.own_code()]:
        settings["own code"] = own
    return settings


def outcome_settings(augmentation: Augmentation, outcome: int) -> dict[str, Any] | None:
    """The settings that an outcome of an augmentation depends on, without the seed. None for the unchanged picture."""
    if outcome == 0:
        return None
    # Augmentations that differ only in their probabilities share their outcomes.
    applying = next(kind for kind in type(augmentation).__mro__ if "apply" in vars(kind))
    row = {name: values[0].tolist() for name, values in augmentation.outcome(outcome).items()}
    return {"name": applying.__name__, "outcome": row}


def prefix_digest(prefix: "keras.Model") -> str:
    """A digest of a model's architecture and weights, the same in every process that builds the same model.

    The names of layers are included only as connections between layers: Keras numbers some of them with counters
    that continue from network to network. Whether layers are trainable is not included either.
    """
    config = json.loads(prefix.to_json())["config"]
    names = {name: str(place) for place, name in enumerate(dict.fromkeys(_names(config)))}
    hashed = hashlib.blake2b(json.dumps(_canonical(config, names), sort_keys=True).encode(), digest_size=16)
    for weight in prefix.weights:
        values = np.asarray(weight)
        hashed.update(f"{values.dtype.str}{values.shape}".encode())
        hashed.update(np.ascontiguousarray(values).data.cast("B"))
    return hashed.hexdigest()


@cache
def code_digest(*rooms: str) -> str:
    """A digest of the source code of decoding and of all augmentations, so that no change leaves stale features.

    Args:
        rooms: Further sub-packages all of whose source text counts.
    """
    package = Path(augment.__file__).parents[1]
    patterns = ("augment/*.py", "data/decode.py", *(f"{room}/*.py" for room in rooms))
    sources = [source for pattern in patterns for source in sorted(package.glob(pattern))]
    return _digest(b"\0".join(source.read_bytes() for source in sources))


def _names(config: Any) -> list[str]:
    """Names of all layers in a configuration, in order."""
    if isinstance(config, list):
        return [name for value in config for name in _names(value)]
    if not isinstance(config, dict):
        return []
    own = [config["name"]] if isinstance(config.get("name"), str) else []
    return own + [name for value in config.values() for name in _names(value)]


def _canonical(config: Any, names: dict[str, str]) -> Any:
    if isinstance(config, dict):
        return {key: _canonical(value, names) for key, value in config.items() if key != "trainable"}
    if isinstance(config, list):
        return [_canonical(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
