"""What several test modules need."""

import keras
import numpy as np

from flowersweep.models.network import Network


def calibrated(network: Network) -> Network:
    """Give every BatchNorm the statistics of some pictures: with others, random layers forget what they are shown."""
    assert network.base is not None
    norms = [one for one in network.base.layers if isinstance(one, keras.layers.BatchNormalization)]
    were = [(norm.trainable, norm.momentum) for norm in norms]
    for norm in norms:
        norm.trainable, norm.momentum = True, 0.0
    pictures = np.random.default_rng(9).uniform(-1, 1, (64, *network.base.input.shape[1:])).astype(np.float32)
    network.base(pictures, training=True)
    for norm, (trainable, momentum) in zip(norms, were, strict=True):
        norm.trainable, norm.momentum = trainable, momentum
    return network
