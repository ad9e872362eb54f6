"""The schema of the group `model`: the published study's CNN, and pretrained backbones, frozen or fine-tuned."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from flowersweep.fields import bounded, not_empty, one_of


@dataclass
class ModelConfig:
    """The keys of every model.

    Attributes:
        name: The name in tables; with model=backbone, the network of keras.applications.
        learning_rate: The default of optimizer.learning_rate, because the right value depends on the model.
    """

    name: str = MISSING
    learning_rate: float = bounded(above=0, high=10)


@dataclass
class CNNConfig(ModelConfig):
    """The published study's network: three blocks of convolution and pooling, one hidden layer.

    Attributes:
        filters: Filters of each block of convolution and pooling.
        kernel_size: Side length of the convolutions, in pixels.
        dense_units: Units of the hidden layer.
        dropout: Dropout rate before the last layer.
    """

    filters: list[int] = bounded(low=1)  # noqa: RUF009 (it returns a dataclass field)
    kernel_size: int = bounded(low=1, high=15)
    dense_units: int = bounded(low=1)
    dropout: float = bounded(low=0, below=1)


@dataclass
class OwnConfig(ModelConfig):
    """A network of your own, from a module that this machine allows or an installed package.

    Attributes:
        build: A function of input_shape, num_classes and the arguments that returns a keras.Model from raw pictures (0..255)
            to logits: MODULE.NAME, or the name under which an installed package offers it.
        arguments: Its other arguments by name: model.arguments.width=16.
    """

    build: str = not_empty()
    arguments: dict[str, Any] = field(default_factory=dict)


BACKBONES = (
    "MobileNetV2",
    "MobileNet",
    "MobileNetV3Small",
    "MobileNetV3Large",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2S",
    "ResNet50V2",
    "ResNet101V2",
    "InceptionV3",
    "Xception",
    "DenseNet121",
    "DenseNet169",
    "ConvNeXtTiny",
)


@dataclass
class FrozenConfig(ModelConfig):
    """A frozen pretrained backbone, pooling, dropout and one new layer: the published study's step 3.

    Attributes:
        backbone: A network of keras.applications.
        weights: Initial weights: imagenet (downloaded by Keras), the path of a .weights.h5 of the backbone without
            its top, or null (random).
        alpha: Width of the MobileNets; null: the backbone's own default.
        dropout: Dropout rate before the last layer.
    """

    backbone: str = one_of(*BACKBONES)
    weights: str | None = not_empty()
    alpha: float | None = bounded(above=0, high=2)
    dropout: float = bounded(low=0, below=1)


@dataclass
class HeadConfig:
    """The first phase of fine-tuning: the new layer alone, the backbone frozen.

    Attributes:
        epochs: Maximum number of epochs of the head, by default trainer.epochs; trainer.patience may end it earlier.
        learning_rate: Learning rate of the head, with Adam.
    """

    epochs: int = bounded(low=1, high=100_000)
    learning_rate: float = bounded(above=0, high=10)


@dataclass
class FineTunedConfig(FrozenConfig):
    """The same network, with the backbone's last layers also trained: the published study's step 4.

    Attributes:
        fine_tune_at: Index in the backbone's list of layers: those before it stay frozen, the others are
            trained; null: all stay frozen.
        init_from: What fine-tuning starts from: head (train the new layer first, in the same run), the weights of
            a run (its MLflow id, or best), or null (the backbone's weights and a new layer).
    """

    fine_tune_at: int | None = bounded(low=0, high=10_000)
    init_from: str | None = not_empty()
    head: HeadConfig = field(default_factory=HeadConfig)

    @property
    def trains_head(self) -> bool:
        """Whether there is a first phase that trains only the new layer."""
        return self.init_from == "head" and self.fine_tune_at is not None
