"""The LiteRT engine: a prefix is converted once and run by XNNPACK's kernels.

LiteRT is the successor of TensorFlow Lite. The interpreter inside TensorFlow itself is an older one, which is much
slower than TensorFlow. Importing this module imports neither Keras, TensorFlow nor LiteRT.
"""

import logging
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flowersweep.cache.atomic import locked, new_file, optional
from flowersweep.cache.kinds import PREFIXES
from flowersweep.models.engine import Engine, Floats, traced
from flowersweep.streams import standard_error_held
from flowersweep.texts import upper_bound

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

log = logging.getLogger(__name__)

# Pictures per call. With MobileNetV2 at 180 pixels 4 took the least processor time on two threads; 1 and 16 took more.
BATCH = 4

# Largest difference from TensorFlow that counts as rounding: this absolute value, plus this fraction of the spread.
_TOLERANCE = 1e-3

_TRAILER = 4  # bytes of the checksum after a converted prefix in the cache


class UnusableError(Exception):
    """LiteRT cannot replace TensorFlow here; the message says why."""


class LiteRTEngine(Engine):
    """The converted prefix in one interpreter.

    Args:
        prefix: The model, for its shapes.
        converted: The result of `convert` for `batch` pictures.
        batch: Pictures per call.
        threads: CPU threads.

    Raises:
        ValueError: `converted` is not a model.
    """

    name = "litert"

    def __init__(self, prefix: "keras.Model", converted: bytes, *, batch: int, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        super().__init__(prefix, batch)
        with standard_error_held():  # it reports XNNPACK there
            self._interpreter = Interpreter(model_content=converted, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._lock = threading.Lock()

    def _run_batch(self, pictures: Floats) -> Floats:
        with self._lock:
            self._interpreter.set_tensor(self._input, pictures)
            self._interpreter.invoke()
            features: Floats = self._interpreter.get_tensor(self._output)
        return features


def convert(prefix: "keras.Model", batch: int) -> bytes:
    """Convert a prefix to LiteRT's format, float32, for batches of one size.

    Raises:
        UnusableError: The converter fails.
    """
    import tensorflow as tf

    function = traced(prefix, (batch, *prefix.input.shape[1:])).get_concrete_function()
    # The weights become constants. Converting a SavedModel takes six times as long and prints a line per weight. The result
    # is compared with TensorFlow in any case.
    return run_converter(lambda: tf.lite.TFLiteConverter.from_concrete_functions([function]), "the prefix")


def run_converter(build: "Callable[[], tf.lite.TFLiteConverter]", what: str) -> bytes:
    """Run a converter of TensorFlow without its advice to convert a SavedModel, which goes to absl's and TensorFlow's logs.

    Args:
        build: Returns the converter.
        what: What is converted, for the message.

    Raises:
        UnusableError: It fails.
    """
    logs = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    disabled = [one.disabled for one in logs]
    for one in logs:
        one.disabled = True
    try:
        return bytes(build().convert())
    except Exception as error:
        raise UnusableError(
            f"LiteRT's converter cannot convert {what} ({type(error).__name__}: {_first_line(error)})"
        ) from error
    finally:
        for one, before in zip(logs, disabled, strict=True):
            one.disabled = before


def litert_engine(
    prefix: "keras.Model", *, cache: Path, key: str, threads: int, sample: Floats
) -> LiteRTEngine:
    """The engine of a prefix, converted now or earlier under the same key.

    Args:
        prefix: The model.
        cache: The cache folder.
        key: Identifies the prefix, including its weights.
        threads: CPU threads.
        sample: Real pictures, as for `choose_engine`.

    Raises:
        UnusableError: The prefix cannot be converted, or its features differ from TensorFlow's.
        DataError: The cache cannot be written to.
    """
    path = PREFIXES.path(cache, f"{key}-{BATCH}")
    expected = np.asarray(prefix(sample, training=False), np.float32)
    if path.exists():
        try:
            if (stored := _stored(path)) is not None:
                return _agreeing(prefix, stored, threads, sample, expected)
        except (ValueError, UnusableError):
            pass
        log.warning("%s is not valid; the prefix is converted again.", path)
    with locked(path):
        converted = convert(prefix, BATCH)
        with optional("The prefix is converted again next time."), new_file(path) as part:
            part.write_bytes(converted + _checksum(converted))
    return _agreeing(prefix, converted, threads, sample, expected)


def _stored(path: Path) -> bytes | None:
    """The converted prefix in a file, or None if its checksum is wrong: LiteRT may crash on invalid models."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    converted, trailer = content[:-_TRAILER], content[-_TRAILER:]
    return converted if trailer == _checksum(converted) else None


def _checksum(converted: bytes) -> bytes:
    return zlib.crc32(converted).to_bytes(_TRAILER, "little")


def _agreeing(
    prefix: "keras.Model", converted: bytes, threads: int, sample: Floats, expected: Floats
) -> LiteRTEngine:
    engine = LiteRTEngine(prefix, converted, batch=BATCH, threads=threads)
    difference = float(np.abs(engine.run(sample) - expected).max())
    allowed = _TOLERANCE * (1 + float(expected.std()))
    if not difference <= allowed:  # so that NaN is also a disagreement
        raise UnusableError(
            f"LiteRT's features differ from TensorFlow's by up to {upper_bound(difference)}, more than the {allowed:.3g} allowed for rounding"
        )
    engine.disagreement = difference
    return engine


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0][:200]
