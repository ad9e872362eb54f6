"""Augmentations that consist of others: a stack, and one of the user's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from flowersweep.augment.base import Array, Augmentation, Parameters, Uniforms
from flowersweep.augment.layers import build, build_own, own_code_of
from flowersweep.errors import ConfigError
from flowersweep.fields import not_empty
from flowersweep.own.code import AUGMENTATIONS, Code, find

if TYPE_CHECKING:
    import tensorflow as tf

T = TypeVar("T")

_SIDE = 1000  # any side length at which an augmentation that crops takes larger pictures


@dataclass
class Layered(Augmentation):
    """Base of augmentations that consist of others, which are built from the configuration."""

    @property
    def built(self) -> list[Augmentation]:
        """The others, in the order in which they are applied; the same objects each time."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        """The errors that `built` would raise."""
        try:
            _ = self.built
        except ConfigError as error:
            return [str(error)]
        return []

    @property
    def n_uniforms(self) -> int:
        """The total of all layers."""
        return sum(layer.n_uniforms for layer in self.built)

    def source_size(self, image_size: int) -> int:
        """Side length in pixels of the pictures that the first layer expects."""
        return self.built[0].source_size(image_size)

    def parameters(self, uniforms: Uniforms) -> Parameters:
        """Return the parameters of all layers; `0.matrix` is `matrix` of the first."""
        result: Parameters = {}
        start = 0
        for place, layer in enumerate(self.built):
            own = layer.parameters(uniforms[:, start : start + layer.n_uniforms])
            result |= {f"{place}.{key}": values for key, values in own.items()}
            start += layer.n_uniforms
        return result

    def apply(self, images: "tf.Tensor", parameters: "dict[str, tf.Tensor]", image_size: int) -> "tf.Tensor":
        """Apply the layers in order."""
        for place, layer in enumerate(self.built):
            images = layer.apply(images, _own(parameters, place), image_size)
        return images

    @property
    def mixes(self) -> bool:
        """Whether the last layer does."""
        return self.built[-1].mixes

    def others(self, parameters: Parameters, count: int) -> npt.NDArray[np.int64]:
        """Those of the last layer."""
        return self.built[-1].others(_own(parameters, len(self.built) - 1), count)

    def shares(self, parameters: Parameters, image_size: int) -> Array:
        """Those of the last layer."""
        return self.built[-1].shares(_own(parameters, len(self.built) - 1), image_size)

    def mix(
        self,
        images: "tf.Tensor",
        others: "tf.Tensor",
        parameters: "dict[str, tf.Tensor]",
        image_size: int,
    ) -> "tf.Tensor":
        """Mix as the last layer does."""
        return self.built[-1].mix(images, others, _own(parameters, len(self.built) - 1), image_size)


@dataclass
class Stack(Layered):
    """Apply several augmentations, one after the other, with one stream of draws for all of them.

    Attributes:
        layers: Names, or mappings of a name and parameters: [RandomFlip, {name: RandomRotation, factor: 0.1}],
            or {build: my_module.RandomWarmth, factor: 0.1} for one of your own.
            RandomCrop may only come first, because it takes larger pictures than the others; MixUp or CutMix only last,
            because they mix pictures that the others have changed.
    """

    name: str = "stack"
    layers: list[Any] = field(default_factory=lambda: ["RandomFlip", "RandomRotation"])

    @cached_property
    def built(self) -> list[Augmentation]:
        """The layers, built once, because `apply` is traced and tracing OmegaConf takes seconds.

        Returns:
            One augmentation for each entry of `layers`.

        Raises:
            ConfigError: An entry cannot be built, there is none, one that crops is not the first, or one that mixes not the last.
        """
        layers = [build(spec) for spec in self.layers]
        if not layers:
            raise ConfigError("A stack needs at least one layer; choose aug=none to change nothing.")
        if crops := [layer for layer in layers[1:] if layer.source_size(_SIDE) != _SIDE]:
            raise ConfigError(
                f"{type(crops[0]).__name__} must be the first layer of a stack and occur only once, because it takes larger "
                "pictures than the others."
            )
        if any(layer.mixes for layer in layers[:-1]):
            raise ConfigError("MixUp and CutMix must be the last layer of a stack, and only one of them.")
        return layers

    def own_code(self) -> list[Code]:
        """That of the layers."""
        return [code for spec in self.layers if (code := own_code_of(spec)) is not None]


@dataclass
class Own(Layered):
    """An augmentation of your own, from a module that this machine allows or an installed package.

    Attributes:
        build: Its class: MODULE.NAME, or the name under which an installed package offers it.
        arguments: Its parameters by name: aug.arguments.factor=0.1.
    """

    name: str = "own"
    build: str = not_empty()
    arguments: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def built(self) -> list[Augmentation]:
        """The augmentation.

        Raises:
            ConfigError: It may not or cannot be imported, or a parameter is unknown or not legal.
        """
        (code,) = self.own_code()
        return [build_own(code, self.arguments)]

    def own_code(self) -> list[Code]:
        """Its class."""
        return [find("aug.build", self.build, AUGMENTATIONS)]


def _own(parameters: Mapping[str, T], place: int) -> dict[str, T]:
    """The parameters of one layer."""
    prefix = f"{place}."
    return {key.removeprefix(prefix): values for key, values in parameters.items() if key.startswith(prefix)}
