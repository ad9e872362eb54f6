"""Heads that were trained once: trials that need the same one take it from the cache.

A head is the new last layer on a frozen backbone. It depends on the data, the augmentation, the seed and the
head's own settings, and on nothing that a search over fine-tuning varies.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowersweep.config import cache_dir
from flowersweep.config.schema import Config, FineTunedConfig
from flowersweep.data.atomic import cache_errors, locked, part_of
from flowersweep.training.pictures import Pictures

# Part of every key: raise it when the same settings would train another head than before.
VERSION = 1


@dataclass(frozen=True)
class Head:
    """A trained last layer.

    Attributes:
        weights: Kernel (features, num_classes) and bias (num_classes,), float32.
        epochs: What happened in each epoch of its training.
        reused: Whether it came from the cache.
    """

    weights: list[npt.NDArray[np.float32]]
    epochs: list[dict[str, float]]
    reused: bool


def reuse_or_train(config: Config, pictures: Pictures, train: Callable[[], Head]) -> Head:
    """The head of a configuration: from the cache, or trained now and kept there.

    Other processes that need the same head wait for the one that trains it.
    """
    path = cache_dir(config.paths.cache) / "heads" / f"{head_key(config, pictures)}.npz"
    with locked(path):
        if path.is_file() and (kept := _read(path)) is not None:
            return kept
        head = train()
        _write(path, head)
    return head


def head_key(config: Config, pictures: Pictures) -> str:
    """32 hex digits that are the same for configurations that train the same head."""
    model = config.model
    assert isinstance(model, FineTunedConfig)  # noqa: S101 (for the type checker; nothing else has a head phase)
    ingredients: dict[str, Any] = {
        "version": VERSION,
        "data": pictures.fingerprint,
        "split": dataclasses.asdict(config.data) | {"dir": None, "source": None, "unreadable": None},
        "backbone": [model.backbone, model.alpha, weights_digest(model.weights)],
        "head": dataclasses.asdict(model.head),
        "dropout": model.dropout,
        "aug": dataclasses.asdict(config.aug),
        "schedule": dataclasses.asdict(config.schedule),
        "trainer": dataclasses.asdict(config.trainer) | {"epochs": None},
        "objective": config.objective.metric,
        "seed": config.seed,
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:32]


def weights_digest(weights: str | None) -> str:
    """What identifies a backbone's weights: the content of their file, or their name."""
    if weights is None or weights == "imagenet":
        return str(weights)
    return hashlib.sha256(Path(weights).expanduser().read_bytes()).hexdigest()


def _read(path: Path) -> Head | None:
    """The head in a file, or None if the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            weights = [stored["kernel"], stored["bias"]]
            return Head(weights, json.loads(str(stored["epochs"])), reused=True)
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _write(path: Path, head: Head) -> None:
    part = part_of(path)
    with cache_errors(path), part.open("wb") as file:
        np.savez(file, kernel=head.weights[0], bias=head.weights[1], epochs=json.dumps(head.epochs))
    part.replace(path)
