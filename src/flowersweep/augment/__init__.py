"""Augmentations that are pure functions of (seed, epoch, picture index); `AUGMENTATIONS` lists them by name."""

from flowersweep.augment.base import Augmentation
from flowersweep.augment.draw import drawn, uniforms
from flowersweep.augment.registry import AUGMENTATIONS, build

__all__ = ["AUGMENTATIONS", "Augmentation", "build", "drawn", "uniforms"]
