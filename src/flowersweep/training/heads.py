"""Heads that were trained once: trials that need the same one take it from the cache.

A head is the new last layer on a frozen backbone. It depends on the data, the augmentation, the seed, the head's
own settings and the program that trains it, and on nothing that a search over fine-tuning varies.

Importing this module imports neither Keras nor TensorFlow.
"""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flowersweep.cache.atomic import cache_errors, locked, part_of
from flowersweep.config import cache_dir
from flowersweep.config.schema import Config, FineTunedConfig
from flowersweep.models.bank_key import code_digest
from flowersweep.models.engine_choice import engine_version, resolve_engine
from flowersweep.texts import expanded
from flowersweep.training.dataset import Pictures
from flowersweep.training.precision import resolve_precision

log = logging.getLogger(__name__)

# What a head's weights depend on besides the configuration, the data and the backbone.
ROOMS = ("data", "models", "training")
PACKAGES = ("keras", "tensorflow", "numpy")


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
        if path.exists():
            if (kept := _read(path, len(pictures.catalogue.class_names))) is not None:
                return kept
            log.warning("%s is damaged and will be trained anew.", path)
        head = train()
        _write(path, head)
    return head


def head_key(config: Config, pictures: Pictures) -> str:
    """32 hex digits that are the same for configurations that train the same head.

    Imports TensorFlow where it decides which engine runs the backbone, as the training itself has done before.
    """
    model = config.model
    assert isinstance(model, FineTunedConfig)  # noqa: S101 (for the type checker; nothing else has a head phase)
    ingredients: dict[str, Any] = {
        "code": code_digest(*ROOMS),
        "packages": [version(name) for name in PACKAGES],
        "data": pictures.fingerprint,
        "split": dataclasses.asdict(config.data) | {"dir": None, "source": None, "unreadable": None},
        "backbone": [model.backbone, model.alpha, weights_digest(model.weights)],
        "head": dataclasses.asdict(model.head),
        "dropout": model.dropout,
        "aug": dataclasses.asdict(config.aug),
        "schedule": dataclasses.asdict(config.schedule),
        "features": [config.bank.dtype, engine_version(resolve_engine(config.bank.engine))]
        if config.bank.enabled
        else None,
        "precision": resolve_precision(config),
        "trainer": dataclasses.asdict(config.trainer) | {"epochs": None},
        "objective": config.objective.metric,
        "seed": config.seed,
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:32]


def weights_digest(weights: str | None) -> str:
    """What identifies a backbone's weights: the content of their file, or their name."""
    if weights is None or weights == "imagenet":
        return str(weights)
    return hashlib.sha256(expanded(weights).read_bytes()).hexdigest()


def _read(path: Path, num_classes: int) -> Head | None:
    """The head in a file, or None if the file is damaged or holds something else."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            kernel, bias = stored["kernel"], stored["bias"]
            epochs = json.loads(str(stored["epochs"]))
    except MemoryError:
        raise  # says nothing about the file
    except Exception:  # noqa: BLE001 (NumPy's and zipfile's readers raise nearly anything on damaged content)
        return None
    shapes_fit = kernel.ndim == 2 and kernel.shape[1] == num_classes and bias.shape == (num_classes,)
    are_numbers = (
        kernel.dtype == bias.dtype == np.float32 and np.isfinite(kernel).all() and np.isfinite(bias).all()
    )
    are_epochs = isinstance(epochs, list) and all(isinstance(values, dict) for values in epochs)
    return Head([kernel, bias], epochs, reused=True) if shapes_fit and are_numbers and are_epochs else None


def _write(path: Path, head: Head) -> None:
    part = part_of(path)
    with cache_errors(path):
        with part.open("wb") as file:
            np.savez(file, kernel=head.weights[0], bias=head.weights[1], epochs=json.dumps(head.epochs))
        part.replace(path)
