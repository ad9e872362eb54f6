"""The article's CNN: an epoch in plain Keras against an epoch in flowersweep, alternating, as a ratio.

    python benchmarks/cnn_epoch.py --data PATH/flower_photos

Both train the same network on the same files with the same batch size and the same augmentation (RandomFlip), each
in a fresh process. Plain Keras is what the article did: image_dataset_from_directory, shuffle, cache, prefetch, the
augmentation as a layer of the model, TensorFlow's defaults. The first epoch contains reading and decoding; flowersweep
reads what an earlier run has decoded, and its one-time decoding is reported on a line of its own.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BATCH_SIZE = 128
SIZE = 180


def plain_keras(data: Path, epochs: int) -> dict[str, list[float]]:
    """The article's script."""
    import keras
    import tensorflow as tf
    from keras import layers

    def read(subset: str) -> tf.data.Dataset:
        return keras.utils.image_dataset_from_directory(
            data,
            validation_split=0.2,
            subset=subset,
            seed=123,
            image_size=(SIZE, SIZE),
            batch_size=BATCH_SIZE,
            verbose=False,
        )

    keras.utils.set_random_seed(0)
    training = read("training").shuffle(1000).cache().prefetch(tf.data.AUTOTUNE)
    validation = read("validation").cache().prefetch(tf.data.AUTOTUNE)
    blocks = [
        layer for _ in range(3) for layer in (layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D())
    ]
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip("horizontal_and_vertical"),
            *blocks,
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(5),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return _timed(
        lambda callback: model.fit(
            training, validation_data=validation, epochs=epochs, verbose=0, callbacks=[callback]
        )
    )


def flowersweep(data: Path, epochs: int) -> dict[str, list[float]]:
    """The same run through flowersweep's own path, without MLflow around it."""
    from hydra import compose, initialize_config_dir

    from flowersweep import config

    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        overrides = [
            "aug=RandomFlip",
            f"data.dir={data}",
            f"trainer.epochs={epochs}",
            "trainer.patience=null",
        ]
        settings = config.settings(compose("config", overrides=overrides))
    from flowersweep.training.environment import start_tensorflow
    from flowersweep.training.pictures import load_pictures

    began = time.perf_counter()
    pictures = load_pictures(settings)
    opened = time.perf_counter() - began
    start_tensorflow(seed=0, threads=None, deterministic=False)
    from flowersweep.models import build_network
    from flowersweep.training.history import History
    from flowersweep.training.phases import train_phases

    network = build_network(settings.model, num_classes=5, image_size=SIZE)
    history = History.of(settings.objective.metric)
    train_phases(network, settings, pictures, history, lambda *_: None)
    return {
        "seconds": history.column("seconds"),
        "val_accuracy": history.column("val_accuracy"),
        "opening": [opened],
    }


def _timed(fit: Callable[[object], object]) -> dict[str, list[float]]:
    import keras

    seconds: list[float] = []
    accuracy: list[float] = []

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is not typed
        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002 (Keras' signature)
            self.began = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002 (Keras' signature)
            seconds.append(time.perf_counter() - self.began)
            accuracy.append(float(logs["val_accuracy"]))

    fit(Clock())
    return {"seconds": seconds, "val_accuracy": accuracy}


CONTESTANTS: dict[str, Callable[[Path, int], dict[str, list[float]]]] = {
    "plain": plain_keras,
    "ours": flowersweep,
}


def measure(contestant: str, data: Path, epochs: int, environment: dict[str, str]) -> dict[str, list[float]]:
    """Run one contestant in a fresh process."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as result:
        command = [
            sys.executable,
            __file__,
            "--data",
            str(data),
            "--epochs",
            str(epochs),
            "--one",
            contestant,
        ]
        done = subprocess.run(
            [*command, "--result", result.name],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{contestant} failed:\n{done.stderr.decode()}")
        return dict(json.load(result))


def main() -> None:
    """Alternate the contestants and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of flower_photos")
    parser.add_argument(
        "--epochs", type=int, default=3, help="epochs per process; the first is reported apart"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--one", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--result", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        result = CONTESTANTS[arguments.one](arguments.data, arguments.epochs)
        Path(arguments.result).write_text(json.dumps(result), encoding="utf-8")
        return
    variants = {
        "plain Keras": ("plain", {}),
        "plain Keras, oneDNN off (CPUs without AVX-512)": ("plain", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
        "flowersweep": ("ours", {}),
    }
    measure("ours", arguments.data, 1, {})  # decodes the pictures, once
    results: dict[str, list[dict[str, list[float]]]] = {name: [] for name in variants}
    for number in range(arguments.rounds):
        for name, (contestant, environment) in variants.items():
            print(f"round {number + 1}/{arguments.rounds}: {name}", file=sys.stderr)
            results[name].append(measure(contestant, arguments.data, arguments.epochs, environment))
    _table(results)


def _table(results: dict[str, list[dict[str, list[float]]]]) -> None:
    later = {name: [statistics.mean(run["seconds"][1:]) for run in runs] for name, runs in results.items()}
    first = {name: statistics.median(run["seconds"][0] for run in runs) for name, runs in results.items()}
    ours = later["flowersweep"]
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, batch {BATCH_SIZE}, {SIZE} px"
    )
    print(
        f"{'':48} {'first epoch':>12} {'later epochs, s (min-max)':>28} {'ratio (min-max)':>22} {'val_acc':>8}"
    )
    for name, seconds in later.items():
        ratios = [theirs / mine for theirs, mine in zip(seconds, ours, strict=True)]
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f}-{max(seconds):.1f})"
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        accuracy = statistics.mean(run["val_accuracy"][-1] for run in results[name])
        print(f"{name:48} {first[name]:10.1f} s {spread:>28} {ratio:>22} {accuracy:8.3f}")


if __name__ == "__main__":
    main()
