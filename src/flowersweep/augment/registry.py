"""All augmentations by their names in `aug=`.

MixUp and CutMix are not included: they mix the labels of two pictures, while an augmentation here is a function of
one picture and its draws.
"""

from flowersweep.augment.base import Augmentation
from flowersweep.augment.layers import LAYERS, build
from flowersweep.augment.stack import Stack

__all__ = ["AUGMENTATIONS", "build"]

AUGMENTATIONS: dict[str, type[Augmentation]] = {**LAYERS, "stack": Stack}
