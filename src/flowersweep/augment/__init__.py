"""Augmentations that are pure functions of (seed, epoch, picture index); `AUGMENTATIONS` lists them by name."""

from flowersweep.augment.base import Augmentation
from flowersweep.augment.draw import drawn, uniforms
from flowersweep.augment.layers import LAYERS, build
from flowersweep.augment.stack import Own, Stack

__all__ = ["AUGMENTATIONS", "Augmentation", "Own", "Stack", "build", "drawn", "uniforms"]

# The augmentations of this package by their names in `aug=`.
AUGMENTATIONS: dict[str, type[Augmentation]] = {**LAYERS, "stack": Stack}
