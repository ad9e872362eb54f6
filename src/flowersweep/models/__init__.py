"""The networks. Each builder creates an untrained prefix and a trained suffix from its configuration."""

from typing import TYPE_CHECKING

from flowersweep.config.models import CNNConfig, FrozenConfig, ModelConfig, OwnConfig
from flowersweep.errors import ConfigError

if TYPE_CHECKING:
    from flowersweep.models.network import Network

__all__ = ["build_network"]


def build_network(config: ModelConfig, *, num_classes: int, image_size: int) -> "Network":
    """Build the network of a configuration; imports Keras.

    Args:
        config: One of the dataclasses of group `model`.
        num_classes: Number of logits.
        image_size: Side length of the pictures in pixels.

    Raises:
        ConfigError: The network cannot be built, or its weights are not available.
    """
    if isinstance(config, CNNConfig):
        from flowersweep.models.cnn import build_cnn

        return build_cnn(config, num_classes=num_classes, image_size=image_size)
    if isinstance(config, FrozenConfig):
        from flowersweep.models.backbone import build_backbone

        return build_backbone(config, num_classes=num_classes, image_size=image_size)
    if isinstance(config, OwnConfig):
        from flowersweep.models.own import build_own

        return build_own(config, num_classes=num_classes, image_size=image_size)
    raise ConfigError(f"model.name is {config.name!r}, for which there is no builder; choose another model=.")
