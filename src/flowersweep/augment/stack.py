"""A stack of augmentations."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowersweep.augment.base import Augmentation, Parameters, Uniforms
from flowersweep.augment.crop import RandomCrop
from flowersweep.augment.layers import build
from flowersweep.errors import ConfigError

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass
class Stack(Augmentation):
    """Apply several augmentations, one after the other, with one stream of draws for all of them.

    Attributes:
        layers: Names, or mappings of a name and parameters: [RandomFlip, {name: RandomRotation, factor: 0.1}].
            RandomCrop may only come first, because it takes larger pictures than the others.
    """

    name: str = "stack"
    layers: list[Any] = field(default_factory=lambda: ["RandomFlip", "RandomRotation"])

    @cached_property
    def built(self) -> list[Augmentation]:
        """The layers, built once, because `apply` is traced and tracing OmegaConf takes seconds.

        Returns:
            One augmentation for each entry of `layers`.

        Raises:
            ConfigError: An entry cannot be built, there is none, or RandomCrop is not the first.
        """
        layers = [build(spec) for spec in self.layers]
        if not layers:
            raise ConfigError("A stack needs at least one layer; choose aug=none to change nothing.")
        if any(isinstance(layer, RandomCrop) for layer in layers[1:]):
            raise ConfigError("RandomCrop must be the first layer of a stack and occur only once.")
        return layers

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
            prefix = f"{place}."
            own = {
                key.removeprefix(prefix): values
                for key, values in parameters.items()
                if key.startswith(prefix)
            }
            images = layer.apply(images, own, image_size)
        return images
