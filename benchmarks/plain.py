"""The trainings of the published study in plain Keras, as a careful user writes them; each function runs in a new process.

The data come from image_dataset_from_directory, then cache, shuffle and prefetch, as in TensorFlow's tutorial. The
augmentation is a layer of the model. All other settings are the defaults of TensorFlow. A separate layer keeps a
fine-tuned backbone in inference mode, so that accuracies can be compared.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from benchmarks.fresh import Figures

Datasets = tuple[tf.data.Dataset, tf.data.Dataset]

AUGMENTATIONS: dict[str, Callable[[], keras.layers.Layer]] = {
    "RandomFlip": lambda: layers.RandomFlip("horizontal_and_vertical"),
    "RandomRotation": lambda: layers.RandomRotation(0.2),
}
OPTIMIZERS: dict[str, Callable[[float], keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
}


def epochs(
    *,
    data: str,
    size: int,
    batch: int,
    count: int,
    model: str,
    weights: str,
    augmentation: str = "RandomFlip",
    fine_tune_at: int | None = None,
) -> Figures:
    """Train for some epochs.

    Args:
        data: Folder of the pictures.
        size: Side length in pixels.
        batch: Pictures per batch.
        count: Number of epochs.
        model: "cnn", "frozen" or "fine_tuned".
        weights: The weights of the backbone: "imagenet" or a file.
        augmentation: A key of AUGMENTATIONS.
        fine_tune_at: The index of the first trained layer of the backbone.

    Returns:
        `seconds` (training and validation) and `val_accuracy` of each epoch.
    """
    keras.utils.set_random_seed(0)
    training, validation = read(data, size, batch)
    layer = AUGMENTATIONS[augmentation]()
    network = (
        cnn(size, layer) if model == "cnn" else mobilenet(size, layer, weights, fine_tune_at=fine_tune_at)
    )
    compile_network(network, keras.optimizers.Adam(1e-3 if fine_tune_at is None else 1e-4))
    clock = Clock()
    history = network.fit(
        shuffled(training), validation_data=validation, epochs=count, verbose=0, callbacks=[clock]
    )
    return {"seconds": clock.seconds, "val_accuracy": history.history["val_accuracy"]}


def trainings(*, data: str, size: int, count: int, weights: str, trials: Sequence[dict[str, Any]]) -> Figures:
    """Train the frozen network to early stop, once for each trial, one after the other on the same cached pictures.

    Args:
        data: Folder of the pictures.
        size: Side length in pixels.
        count: Maximum number of epochs.
        weights: The weights of the backbone: "imagenet" or a file.
        trials: Settings of each trial: "augmentation", "optimizer", "rate", "dropout" and "batch".

    Returns:
        `seconds`, `epochs` and `val_accuracy` (the best) of each trial, without the time for reading the pictures.
    """
    keras.utils.set_random_seed(0)
    training, validation = read(data, size, 128)
    for dataset in (training, validation):
        for _ in dataset:  # fills the cache
            pass
    seconds, counts, best = [], [], []
    for trial in trials:
        began = time.perf_counter()
        network = mobilenet(size, AUGMENTATIONS[trial["augmentation"]](), weights, dropout=trial["dropout"])
        compile_network(network, OPTIMIZERS[trial["optimizer"]](trial["rate"]))
        history = network.fit(
            shuffled(training, trial["batch"]),
            validation_data=validation,
            epochs=count,
            verbose=0,
            callbacks=article_callbacks(),
        )
        seconds.append(time.perf_counter() - began)
        counts.append(len(history.history["loss"]))
        best.append(max(history.history["val_accuracy"]))
    return {"seconds": seconds, "epochs": counts, "val_accuracy": best}


def read(data: str, size: int, batch: int) -> Datasets:
    """Training and validation pictures in batches, cached in memory after decoding."""

    def subset(name: str) -> tf.data.Dataset:
        return keras.utils.image_dataset_from_directory(
            data,
            validation_split=0.2,
            subset=name,
            seed=123,
            image_size=(size, size),
            batch_size=batch,
            verbose=False,
        ).cache()

    return subset("training"), subset("validation").prefetch(tf.data.AUTOTUNE)


def shuffled(training: tf.data.Dataset, batch: int = 128) -> tf.data.Dataset:
    """Shuffle again in each epoch, in batches of the given size."""
    dataset = training.shuffle(1000)
    return (dataset if batch == 128 else dataset.rebatch(batch)).prefetch(tf.data.AUTOTUNE)


def cnn(size: int, augmentation: keras.layers.Layer) -> keras.Model:
    """The network of steps 1 and 2."""
    blocks = [
        layer for _ in range(3) for layer in (layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D())
    ]
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Rescaling(1 / 255),
            augmentation,
            *blocks,
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(5),
        ]
    )


def mobilenet(
    size: int,
    augmentation: keras.layers.Layer,
    weights: str,
    *,
    dropout: float = 0.2,
    fine_tune_at: int | None = None,
) -> keras.Model:
    """The network of step 3 or, with `fine_tune_at`, of step 4 (with a new last layer)."""
    base = keras.applications.MobileNetV2(
        input_shape=(size, size, 3), include_top=False, weights="imagenet" if weights == "imagenet" else None
    )
    if weights != "imagenet":
        base.load_weights(Path(weights))
    base.trainable = fine_tune_at is not None
    for layer in base.layers[:fine_tune_at]:
        layer.trainable = False
    pictures = keras.Input((size, size, 3))
    x = keras.applications.mobilenet_v2.preprocess_input(augmentation(pictures))
    x = base(x, training=False) if fine_tune_at is None else InferenceMode(base)(x)
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pictures, layers.Dense(5)(x))


class InferenceMode(keras.layers.Layer):  # type: ignore[misc]  # Keras is not typed
    """Keep BatchNorm in inference mode while its gamma and beta are trained."""

    def __init__(self, base: keras.Model) -> None:
        super().__init__()
        self.base = base

    def call(self, inputs: Any) -> Any:
        """The backbone's output."""
        return self.base(inputs, training=False)


def compile_network(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile with the published study's loss."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, metrics=["accuracy"])


def article_callbacks() -> list[keras.callbacks.Callback]:
    """The callbacks of the published study, without TensorBoard."""
    return [
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=3, min_lr=1e-6),
        keras.callbacks.EarlyStopping(
            monitor="val_loss", min_delta=0.001, patience=5, restore_best_weights=True
        ),
    ]


class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is not typed
    """Seconds of each epoch, validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Start the clock."""
        del epoch, logs
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Stop the clock."""
        del epoch, logs
        self.seconds.append(time.perf_counter() - self._began)
