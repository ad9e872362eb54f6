"""The published study's convolutional network (steps 1 and 2). Importing this module imports Keras."""

import keras
from keras import layers

from flowersweep.config.models import CNNConfig
from flowersweep.models.network import Network


def build_cnn(config: CNNConfig, *, num_classes: int, image_size: int) -> Network:
    """Rescaling, blocks of [Conv2D, MaxPooling2D, ReLU], Flatten, Dense(relu), Dense(logits).

    The published study has the ReLU before the pooling. After the pooling, the block has the same output and the same gradients,
    because ReLU preserves the maximum, and the ReLU has a quarter of the numbers to process.

    Args:
        config: Filters of each block, kernel size, units of the hidden layer, dropout before the last layer.
        num_classes: Number of logits.
        image_size: Side length of the pictures in pixels.

    Returns:
        A network whose prefix is the identity: all its layers are trained.
    """
    pictures = keras.Input((image_size, image_size, 3), name="pictures")
    x = layers.Rescaling(1 / 255, name="rescaling")(pictures)
    for block, filters in enumerate(config.filters, start=1):
        x = layers.Conv2D(filters, config.kernel_size, name=f"conv_{block}")(x)
        x = layers.MaxPooling2D(name=f"pool_{block}")(x)
        x = layers.ReLU(name=f"relu_{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(config.dense_units, activation="relu", name="hidden")(x)
    if config.dropout:
        x = layers.Dropout(config.dropout, name="dropout")(x)
    model = keras.Model(pictures, layers.Dense(num_classes, dtype="float32", name="logits")(x), name="cnn")
    return Network(prefix=None, suffix=model, whole=model)
