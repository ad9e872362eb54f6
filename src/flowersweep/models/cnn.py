"""The article's convolutional network (steps 1 and 2)."""

from typing import TYPE_CHECKING

from flowersweep.config.schema import CNNConfig

if TYPE_CHECKING:
    import keras


def build_cnn(config: CNNConfig, *, num_classes: int, image_size: int) -> "keras.Model":
    """Rescaling, blocks of [Conv2D(relu), MaxPooling2D], Flatten, Dense(relu), Dense(logits).

    Args:
        config: Filters of each block, kernel size, units of the hidden layer, dropout before the last layer.
        num_classes: Number of logits.
        image_size: Side length of the pictures in pixels.

    Returns:
        A model from float32 pictures, shape (batch, image_size, image_size, 3), values 0..255, to logits of
        shape (batch, num_classes).
    """
    import keras
    from keras import layers

    inputs = keras.Input((image_size, image_size, 3), name="pictures")
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    for block, filters in enumerate(config.filters, start=1):
        x = layers.Conv2D(filters, config.kernel_size, activation="relu", name=f"conv_{block}")(x)
        x = layers.MaxPooling2D(name=f"pool_{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(config.dense_units, activation="relu", name="hidden")(x)
    if config.dropout:
        x = layers.Dropout(config.dropout, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(num_classes, name="logits")(x), name="cnn")
