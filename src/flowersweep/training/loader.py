"""The batches of a phase: pictures for the complete network, or stored features for its suffix.

Importing this module imports Keras.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras

from flowersweep.cache.rows import own_errors
from flowersweep.config import cache_dir
from flowersweep.config.schema import Config
from flowersweep.data.stream import Part, evaluation_stream, training_stream
from flowersweep.models.bank import FeatureBank
from flowersweep.models.features import evaluation_features, feature_stream
from flowersweep.models.network import Network
from flowersweep.training.dataset import Pictures

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Loader:
    """The source of a network's batches.

    Attributes:
        bank: The features of the network's prefix; None to load pictures.
        pictures: The data.
        config: The complete configuration.
    """

    bank: FeatureBank | None
    pictures: Pictures
    config: Config

    def model(self, network: Network) -> keras.Model:
        """The part of a network that takes this loader's batches."""
        return network.suffix if self.bank else network.trained()

    def training(self, epochs: int, first: int = 0) -> "tf.data.Dataset":
        """The training batches of a phase, from its epoch `first` on: (inputs float32, labels as from `epoch_labels`)."""
        trainer, n_classes = self.config.trainer, len(self.pictures.catalogue.class_names)
        if self.bank:
            return feature_stream(
                self.bank,
                batch_size=trainer.batch_size,
                seed=self.config.seed,
                epochs=epochs,
                first=first,
                n_classes=n_classes,
            )
        return training_stream(
            self.pictures.train,
            self.config.aug,
            image_size=trainer.image_size,
            batch_size=trainer.batch_size,
            seed=self.config.seed,
            epochs=epochs,
            first=first,
            n_classes=n_classes,
        )

    def evaluation(self, part: Part) -> "tf.data.Dataset":
        """One pass over a part without augmentation."""
        return evaluation_features(self.bank, part) if self.bank else evaluation_stream(part)


@contextmanager
def open_loader(network: Network, config: Config, pictures: Pictures) -> Iterator[Loader]:
    """Open the loader of a network's batches: the feature bank if the network has a prefix with layers, else pictures."""
    if not config.bank.enabled or network.prefix is None or network.cut == 0:
        with own_errors(pictures.train.images, pictures.validation.images):
            yield Loader(None, pictures, config)
        return
    with (
        FeatureBank(
            network.prefix,
            part=pictures.train,
            augmentation=config.aug,
            image_size=config.trainer.image_size,
            fingerprint=pictures.fingerprint,
            resizing=config.data.resize,
            cache=cache_dir(config.paths.cache),
            dtype="float32" if config.bank.dtype == "float32" else "float16",
            engine=config.bank.engine,
            max_bytes=int(config.bank.max_gigabytes * 1e9),
            threads=config.trainer.threads,
            cut=network.cut,
        ) as bank,
        own_errors(bank),
    ):
        yield Loader(bank, pictures, config)
