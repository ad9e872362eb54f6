"""The search with KerasTuner over the plain Keras trainings. Runs in a new process, needs `pip install keras-tuner`."""

import tempfile
import time
from typing import Any

import keras
import keras_tuner

from benchmarks import plain
from benchmarks.fresh import Figures


def search(*, data: str, size: int, count: int, weights: str, n_trials: int) -> Figures:
    """Search learning rate, dropout, optimizer and batch size at random, each trial with early stopping.

    Args:
        data: Folder of the pictures.
        size: Side length in pixels.
        count: Maximum number of epochs.
        weights: The weights of the backbone: "imagenet" or a file.
        n_trials: Number of trials.

    Returns:
        `seconds`, `epochs` and `val_accuracy` (the best) of each trial, without the time for reading the pictures.
    """
    keras.utils.set_random_seed(0)
    training, validation = plain.read(data, size, 128)
    for dataset in (training, validation):
        for _ in dataset:  # fills the cache
            pass
    model = _FrozenModel(size, weights)
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            model,
            objective="val_accuracy",
            max_trials=n_trials,
            seed=0,
            directory=folder,
            project_name="search",
        )
        began = time.perf_counter()
        tuner.search(
            training, validation_data=validation, epochs=count, verbose=0, callbacks=plain.article_callbacks()
        )
        seconds = time.perf_counter() - began
    return {
        "seconds": [seconds / n_trials] * n_trials,
        "epochs": model.epochs,
        "val_accuracy": model.best,
    }


class _FrozenModel(keras_tuner.HyperModel):  # type: ignore[misc]  # KerasTuner is not typed
    """The frozen network with the four hyperparameters of the search."""

    def __init__(self, size: int, weights: str) -> None:
        super().__init__()
        self._size = size
        self._weights = weights
        self.epochs: list[int] = []
        self.best: list[float] = []

    def build(self, hp: Any) -> keras.Model:
        """Build a compiled network with a trial's values."""
        augmentation = plain.AUGMENTATIONS["RandomFlip"]()
        dropout = hp.Float("dropout", 0.0, 0.5)
        network = plain.mobilenet(self._size, augmentation, self._weights, dropout=dropout)
        optimizer = plain.OPTIMIZERS[hp.Choice("optimizer", list(plain.OPTIMIZERS))]
        plain.compile_network(network, optimizer(hp.Float("rate", 1e-4, 1e-2, sampling="log")))
        return network

    def fit(self, hp: Any, network: keras.Model, training: Any, **kwargs: Any) -> Any:
        """Train with a trial's batch size."""
        batch = hp.Choice("batch", [32, 64, 128])
        history = network.fit(plain.shuffled(training, batch), **kwargs)
        self.epochs.append(len(history.history["loss"]))
        self.best.append(max(history.history["val_accuracy"]))
        return history
