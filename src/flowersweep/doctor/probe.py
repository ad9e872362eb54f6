"""A report on TensorFlow and the configured network as one line of JSON; runs in a separate process.

TensorFlow may terminate its process, for example on a CPU without its instructions or with incompatible libraries; the
doctor must continue.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any, TypedDict

from flowersweep.config.models import FrozenConfig
from flowersweep.config.schema import Config
from flowersweep.doctor.configured import composed
from flowersweep.errors import ConfigError

# Two classes are enough to check whether weights fit.
_CLASSES = 2


class Report(TypedDict):
    """The output of the probe.

    Attributes:
        tensorflow: The version of TensorFlow.
        keras: The version of Keras.
        seconds: The time of the import.
        gpus: Names of the GPUs that TensorFlow sees.
        engine: The engine of frozen layers; None for a network without them.
        precision: The precision of a training, float32 or bfloat16.
        layers: Number of the backbone's layers; None for a network without a backbone.
        refused: Why the network cannot be built with the configured weights; None if it can.
    """

    tensorflow: str
    keras: str
    seconds: float
    gpus: list[str]
    engine: str | None
    precision: str
    layers: int | None
    refused: str | None


def report(config: Config) -> Report:
    """Start TensorFlow as a run does and build the configured network; the weights of ImageNet are not downloaded."""
    from flowersweep.training.environment import start_tensorflow

    start = time.perf_counter()
    start_tensorflow(seed=0, threads=config.trainer.threads, deterministic=False)
    seconds = time.perf_counter() - start
    import keras
    import tensorflow as tf

    from flowersweep.models.engine_choice import engine_version, resolve_engine
    from flowersweep.training.precision import resolve_precision

    if float(tf.reduce_sum(tf.ones((2, 2)))) != 4.0:
        raise ArithmeticError("TensorFlow does not add up four ones to four")
    engine, layers, refused = None, None, None
    if isinstance(config.model, FrozenConfig):
        try:
            engine = engine_version(resolve_engine(config.bank.engine))
            layers = _layers(config.model, config.trainer.image_size)
        except ConfigError as error:
            refused = str(error)
    return Report(
        tensorflow=tf.__version__,
        keras=keras.__version__,
        seconds=seconds,
        gpus=[_gpu_name(device) for device in tf.config.list_physical_devices("GPU")],
        engine=engine,
        precision=resolve_precision(config),
        layers=layers,
        refused=refused,
    )


def _gpu_name(device: Any) -> str:
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(device)
    return str(details.get("device_name", device.name))


def _layers(model: FrozenConfig, image_size: int) -> int:
    """Build the network, including weights from a file, and return the number of its backbone's layers."""
    from flowersweep.models import build_network

    if model.weights == "imagenet":
        model.weights = None
    network: Any = build_network(model, num_classes=_CLASSES, image_size=image_size)
    return len(network.base.layers)


def main(overrides: Sequence[str]) -> None:
    """Print the report for the configuration with these overrides."""
    sys.stdout.write(json.dumps(report(composed(overrides).config)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
