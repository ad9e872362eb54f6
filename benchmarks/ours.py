"""The same trainings in flowersweep: its functions without MLflow, and its command line for complete runs and sweeps.

The functions that `fresh` calls take overrides as on the command line. Nothing in this module imports TensorFlow before
flowersweep has set its flags.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.command import BATCH_SIZE, Options
from benchmarks.fresh import Figures, run
from flowersweep import config
from flowersweep.training.dataset import Pictures, load_pictures
from flowersweep.training.environment import start_tensorflow

if TYPE_CHECKING:
    from flowersweep.models.network import Network


def overrides(options: Options, model: str, *more: str) -> list[str]:
    """The configuration of a contest with these pictures and this model, and RandomFlip unless another one is given."""
    weights = [f"model.weights={quoted(options.weights)}"] if model != "cnn" else []
    return [
        "data=folder",
        f"data.dir={quoted(options.data)}",
        f"model={model}",
        *weights,
        *([] if any(one.startswith("aug=") for one in more) else ["aug=RandomFlip"]),
        f"trainer.image_size={options.size}",
        *([] if any("trainer.batch_size=" in one for one in more) else [f"trainer.batch_size={BATCH_SIZE}"]),
        f"paths.cache={quoted(options.cache)}",
        f"tracking.dir={quoted(options.folder / 'results')}",
        *more,
    ]


def quoted(path: Path | str) -> str:
    """A text that is quoted for Hydra's grammar."""
    return "'" + str(path).replace("'", "\\'") + "'"


def prepare(*, overrides: list[str]) -> Figures:
    """Decode the pictures and convert the prefix, which is done once for a data set and a network.

    Returns:
        `decoding` and `converting` in seconds; almost 0 if it was done before.
    """
    settings = _settings(overrides)
    began = time.perf_counter()
    pictures = load_pictures(settings)
    decoding = time.perf_counter() - began
    network = _started(settings, pictures)
    if network.prefix is None:
        return {"decoding": decoding, "converting": 0.0}
    from flowersweep.models.bank_key import prefix_digest
    from flowersweep.models.engine_choice import choose_engine

    began = time.perf_counter()
    choose_engine(
        network.prefix,
        engine="auto",
        threads=None,
        cache=Path(str(settings.paths.cache)),
        key=prefix_digest(network.prefix),
        sample=pictures.train.images[pictures.train.indices[:8]].astype(np.float32),
    )
    return {"decoding": decoding, "converting": time.perf_counter() - began}


def epochs(*, overrides: list[str], count: int) -> Figures:
    """Train for some epochs with flowersweep's phases, without tracking.

    One more epoch is trained and not reported: the features of the next epoch are computed ahead at the end of each
    epoch, so the last one takes less time than the others.

    Returns:
        `seconds` (training and validation) and `val_accuracy` of each epoch.
    """
    settings = _settings([*overrides, f"trainer.epochs={count + 1}", "trainer.patience=null"])
    pictures = load_pictures(settings)
    network = _started(settings, pictures)
    from flowersweep.training.history import History
    from flowersweep.training.phases import train_phases

    history = History.of(settings.objective.metric)
    train_phases(network, settings, pictures, history, on_epoch=lambda *_: None)
    return {name: history.column(name)[:count] for name in ("seconds", "val_accuracy")}


def bare(*, overrides: list[str]) -> Figures:
    """Train with a hand-written loop: only `fit`, with the same flags, network, precision and batches.

    Returns:
        `ends`: the time at the end of each epoch in seconds; `composing`: seconds for reading the configuration.
    """
    began = time.perf_counter()
    settings = _settings(overrides)
    composing = time.perf_counter() - began
    pictures = load_pictures(settings)
    start_tensorflow(seed=0, threads=None, deterministic=False)
    import keras

    from flowersweep.data.stream import steps_per_epoch
    from flowersweep.training.loader import open_loader
    from flowersweep.training.precision import policy, resolve_precision

    with policy(resolve_precision(settings)):
        network = _network(settings, pictures)
    ends: list[float] = []
    with open_loader(network, settings, pictures) as loader:
        model = loader.model(network)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(settings.optimizer.learning_rate), loss, metrics=["accuracy"])
        model.fit(
            loader.training(settings.trainer.epochs),
            steps_per_epoch=steps_per_epoch(len(pictures.train), settings.trainer.batch_size),
            epochs=settings.trainer.epochs,
            validation_data=loader.evaluation(pictures.validation),
            shuffle=False,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.time()))],
        )
    return {"ends": ends, "composing": composing}


def command_line(arguments: Sequence[str]) -> float:
    """Run `python -m flowersweep` to its end and return the seconds it took."""
    began = time.perf_counter()
    run([sys.executable, "-m", "flowersweep", *arguments])
    return time.perf_counter() - began


def _settings(overrides: list[str]) -> config.Config:
    from hydra import compose, initialize_config_dir

    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        return config.settings(compose("config", overrides=overrides))


def _started(settings: config.Config, pictures: Pictures) -> "Network":
    start_tensorflow(seed=0, threads=None, deterministic=False)
    return _network(settings, pictures)


def _network(settings: config.Config, pictures: Pictures) -> "Network":
    from flowersweep.models import build_network

    return build_network(
        settings.model,
        num_classes=len(pictures.catalogue.class_names),
        image_size=settings.trainer.image_size,
    )
