"""Trained heads: trials that need the same head take it from the cache.

A head is the new last layer on a frozen backbone. It depends on the data, the augmentation, the seed, the settings
of the head and the code that trains it, but not on anything that a search over fine-tuning varies.

Importing this module imports neither Keras nor TensorFlow.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from flowersweep.cache.atomic import locked, optional
from flowersweep.cache.heads import Head, head_path, read_head, write_head
from flowersweep.config import cache_dir
from flowersweep.config.models import FineTunedConfig
from flowersweep.config.own_code import own_digests
from flowersweep.config.schema import Config
from flowersweep.models.bank_key import code_digest, part_digest
from flowersweep.models.engine_choice import engine_version, resolve_engine
from flowersweep.texts import expanded
from flowersweep.training.dataset import Pictures
from flowersweep.training.precision import resolve_precision

log = logging.getLogger(__name__)

# What the weights of a head depend on in addition to the configuration, the data and the backbone.
ROOMS = ("data", "models", "training", "training/reuse")
PACKAGES = ("keras", "tensorflow", "numpy")


def reuse_or_train(config: Config, pictures: Pictures, train: Callable[[], Head]) -> Head:
    """The head of a configuration, from the cache, or trained now and cached.

    Other processes that need the same head wait for the one that trains it.
    """
    path = head_path(cache_dir(config.paths.cache), head_key(config, pictures))
    with locked(path):
        if path.exists():
            if (kept := read_head(path, len(pictures.catalogue.class_names))) is not None:
                return kept
            log.warning("%s is damaged and will be trained again.", path)
        head = train()
        with optional("The head is not stored, and trained again by other runs."):
            write_head(path, head)
    return head


def head_key(config: Config, pictures: Pictures) -> str:
    """32 hex digits that are equal for configurations that train the same head.

    Imports TensorFlow if the engine of the backbone depends on it; the training has imported it before.
    """
    model = config.model
    assert isinstance(model, FineTunedConfig)  # noqa: S101 (for the type checker; nothing else has a head phase)
    ingredients: dict[str, Any] = {
        **common_content(config, pictures),
        "resizing": config.data.resize,
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


def common_content(config: Config, pictures: Pictures) -> dict[str, Any]:
    """What any training depends on besides its settings: code, packages, pictures and arithmetic."""
    return {
        "code": code_digest(*ROOMS),
        "packages": [version(name) for name in PACKAGES],
        "data": pictures.fingerprint,
        "parts": [part_digest(part) for part in (pictures.split.train, pictures.split.validation)],
        "own code": own_digests(config),
        "features": [config.bank.dtype, engine_version(resolve_engine(config.bank.engine))]
        if config.bank.enabled
        else None,
        "precision": resolve_precision(config),
    }


def weights_digest(weights: str | None) -> str:
    """The identity of a backbone's weights: a digest of the content of their file, or their name."""
    if weights is None or weights == "imagenet":
        return str(weights)
    return hashlib.sha256(expanded(weights).read_bytes()).hexdigest()
