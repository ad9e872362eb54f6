"""The networks. Each builder turns its configuration into a Keras model from raw 0..255 pictures to logits."""

from typing import TYPE_CHECKING

from flowersweep.config.schema import CNNConfig, ModelConfig
from flowersweep.errors import ConfigError

if TYPE_CHECKING:
    import keras

__all__ = ["build_model"]


def build_model(config: ModelConfig, *, num_classes: int, image_size: int) -> "keras.Model":
    """Build the network a configuration names.

    Returns:
        A model from float32 pictures (batch, image_size, image_size, 3), 0..255, to logits (batch, num_classes).
    """
    if isinstance(config, CNNConfig):
        from flowersweep.models.cnn import build_cnn

        return build_cnn(config, num_classes=num_classes, image_size=image_size)
    raise ConfigError(f"model.name is {config.name!r}, which no builder knows; choose one of: cnn.")
