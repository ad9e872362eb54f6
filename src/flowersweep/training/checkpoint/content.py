"""What a training depends on: two trainings with the same content have the same epochs, to the last bit.

Importing this module imports neither Keras nor TensorFlow.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from flowersweep.config.models import FrozenConfig
from flowersweep.config.schema import Config
from flowersweep.training.dataset import Pictures
from flowersweep.training.reuse.heads import common_content, weights_digest

# Increase it when the same content gives another training than before, or is stored differently.
VERSION = 1

# Locations, and settings whose effect is in the content in another way or that have none on the epochs.
_ELSEWHERE = {
    "paths": None,
    "tracking": None,
    "data": ("dir", "split_file", "source"),
    "bank": ("max_gigabytes", "engine"),
    "model": ("weights", "init_from"),
}
_WORDS = {
    "configuration": "its configuration has changed",
    "code": "another version of flowersweep is installed",
    "packages": "other versions of TensorFlow, Keras or NumPy are installed",
    "data": "its pictures have changed",
    "parts": "its pictures are split differently",
    "own code": "your own code has changed",
    "weights": "the pretrained weights have changed",
    "start": "model.init_from refers to another run",
    "features": "another engine computes the features",
    "precision": "the processor computes in another precision",
}


def content_of(config: Config, pictures: Pictures, start: str | None) -> dict[str, Any]:
    """Everything that the epochs of a run depend on, as values for JSON.

    Args:
        config: The configuration of the run.
        pictures: Its pictures.
        start: The run from whose weights it starts; None if there is none.
    """
    model = config.model
    content = {
        "version": VERSION,
        "configuration": _configuration(config),
        **common_content(config, pictures),
        "weights": weights_digest(model.weights) if isinstance(model, FrozenConfig) else None,
        "start": start or getattr(model, "init_from", None),
    }
    return dict(json.loads(json.dumps(content)))


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names of the parts in which two contents differ."""
    return [name for name in now if before.get(name) != now[name]]


def in_words(changed: str) -> str:
    """A part of the content that has changed, as the reason in a sentence."""
    return _WORDS.get(changed, "another version of flowersweep is installed")


def _configuration(config: Config) -> dict[str, Any]:
    kept = dataclasses.asdict(config)
    for group, names in _ELSEWHERE.items():
        if names is None:
            del kept[group]
        else:
            kept[group] = {name: value for name, value in kept[group].items() if name not in names}
    return kept
