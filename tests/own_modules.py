"""Modules of a user, written into a folder and allowed for the duration of a test."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WARMTH = """
from dataclasses import dataclass

import numpy as np

from flowersweep.augment.base import Augmentation
from flowersweep.fields import bounded


@dataclass
class RandomWarmth(Augmentation):
    draws = ("warmth",)
    factor: float = bounded(0.2, low=0.0, high=1.0)

    def parameters(self, uniforms):
        return {"scale": (1 - self.factor * uniforms[:, 0]).astype(np.float32)}

    def apply(self, images, parameters, image_size):
        return images * parameters["scale"][:, None, None, None]
"""
NETWORKS = """
import keras


@keras.saving.register_keras_serializable(package="{name}")
class Half(keras.layers.Layer):
    def call(self, pictures):
        return pictures / 2


class Forgotten(Half):
    pass


class Count(keras.callbacks.Callback):
    def __init__(self, first=0):
        super().__init__()
        self.count = first

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1


def build_model(input_shape, num_classes, width=2, layer=Half):
    pictures = keras.Input(input_shape)
    x = keras.layers.Conv2D(width, 3, strides=4)(layer()(pictures))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pictures, keras.layers.Dense(num_classes)(x))
"""
AddModule = Callable[..., Path]


class Modules:
    """Writes modules and allows them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._allowed: list[str] = []
        monkeypatch.setenv("FLOWERSWEEP_ALLOW", "")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "settings"))  # nobody's allow.txt

    def add(self, name: str, text: str, *, allow: bool = True) -> Path:
        """Write a module; `{name}` in its text is its name.

        Args:
            name: One that no other test uses, because a process imports a module once.
            text: Its content.
            allow: Whether the machine allows it.
        """
        path = self.folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{name}", name), encoding="utf-8")
        if allow:
            self._allowed.append(str(path))
            self._monkeypatch.setenv("FLOWERSWEEP_ALLOW", ",".join(self._allowed))
        # So that it is removed after the test, too.
        self._monkeypatch.setitem(sys.modules, name, None)
        self._monkeypatch.delitem(sys.modules, name)
        return path
