"""The article's convolutional network: its layers, and that its order of ReLU and pooling changes nothing."""

import keras
import numpy as np

from flowersweep.config.models import CNNConfig
from flowersweep.models.cnn import build_cnn

SIZE = 44


def article_cnn() -> keras.Model:
    """The same network as the article writes it, the ReLU inside the convolution."""
    layers = keras.layers
    blocks = [
        layer for _ in range(3) for layer in (layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D())
    ]
    hidden = [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(5)]
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255), *blocks, *hidden])


def built(dropout: float = 0.0) -> keras.Model:
    """The network of the default configuration."""
    config = CNNConfig(
        name="cnn", learning_rate=1e-3, filters=[32, 32, 32], kernel_size=3, dense_units=128, dropout=dropout
    )
    return build_cnn(config, num_classes=5, image_size=SIZE).suffix


def test_layers() -> None:
    """Three blocks of convolution, pooling and ReLU, then two dense layers; 20 thousand weights before them."""
    kinds = [type(layer).__name__ for layer in built(dropout=0.1).layers]

    block = ["Conv2D", "MaxPooling2D", "ReLU"]
    assert kinds == [
        "InputLayer",
        "Rescaling",
        *block,
        *block,
        *block,
        "Flatten",
        "Dense",
        "Dropout",
        "Dense",
    ]


def test_trains_bit_for_bit_as_the_articles_network() -> None:
    """After three steps from the same weights on the same pictures every weight is the same."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (16, SIZE, SIZE, 3)).astype(np.float32)
    labels = rng.integers(0, 5, 16)
    ours, article = built(), article_cnn()
    ours.set_weights(article.get_weights())
    start = article.get_weights()

    for model in (ours, article):
        model.compile(
            keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        for _ in range(3):
            model.train_on_batch(pictures, labels)

    for one, other, old in zip(ours.get_weights(), article.get_weights(), start, strict=True):
        assert np.array_equal(one, other)
        assert not np.array_equal(one, old)
