"""Export of a model to other formats, and reading the exported model. TensorFlow is imported inside functions."""

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flowersweep.data.decode import Pixels
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.tflite import FULL, open_tflite, write_tflite
from flowersweep.errors import ConfigError
from flowersweep.models.engine import Floats
from flowersweep.models.litert import UnusableError
from flowersweep.streams import standard_error_held
from flowersweep.tracking.lookup import keras_file

if TYPE_CHECKING:
    import keras

FORMATS = ("keras", "saved_model", "tflite", "onnx")

Run = Callable[[Floats], Floats]

_PACKAGES = {"tflite": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnx", "onnxruntime")}
_ENDINGS = {"keras": ".keras", "tflite": ".tflite", "onnx": ".onnx"}


def check_format(kind: str, output: Path) -> None:
    """Refuse an export that is not possible, before TensorFlow is imported.

    Args:
        kind: One of FORMATS.
        output: The path of the result.

    Raises:
        ConfigError: A package is missing, or the file has another extension than this format.
    """
    missing = [name for name in _PACKAGES.get(kind, ()) if find_spec(name) is None]
    if missing:
        packages = " ".join(name.replace("_", "-") for name in missing)
        raise ConfigError(f"format={kind} needs packages that are not installed; pip install {packages}.")
    ending = _ENDINGS.get(kind)
    if ending and output.suffix != ending:
        raise ConfigError(
            f"output={output} must have the extension {ending}, because format={kind} is recognized by it."
        )


def write_export(
    kind: str,
    choice: Choice,
    model: "keras.Model",
    target: Path,
    *,
    changed: bool = False,
    precision: str = FULL,
    calibration: Pixels | None = None,
) -> None:
    """Write a model in another format.

    Args:
        kind: One of FORMATS. `saved_model` takes float32 pictures of any number under the signature
            `serving_default`, `onnx` as its input `pictures`; for `tflite` see `write_tflite`.
        choice: The run of the model.
        model: The model.
        target: A path that does not exist yet.
        changed: Whether the model differs from that of the run, whose file is copied for `keras` otherwise.
        precision: Of `tflite`.
        calibration: For `int8`, see `write_tflite`.

    Raises:
        ConfigError: The converter of this format fails.
    """
    if kind == "keras" and changed:
        model.save(target)
    elif kind == "keras":
        with keras_file(choice.store, choice.location) as saved:
            shutil.copyfile(saved, target)
    elif kind == "tflite":
        try:
            write_tflite(model, choice.info, target, precision, calibration)
        except UnusableError as error:
            raise ConfigError(f"The model cannot be exported: {error}.") from error
    else:
        _keras_export(model, target, {"saved_model": "tf_saved_model", "onnx": "onnx"}[kind])


def open_export(kind: str, path: Path) -> Run:
    """Read an exported model as a function from raw pictures, float32, to probabilities.

    Args:
        kind: One of FORMATS.
        path: The path that was given to `write_export`.
    """
    return {
        "keras": _open_keras,
        "saved_model": _open_saved_model,
        "tflite": open_tflite,
        "onnx": _open_onnx,
    }[kind](path)


def _keras_export(model: "keras.Model", target: Path, name: str) -> None:
    try:
        with standard_error_held():
            # The converter to ONNX refuses a model that was never called, such as one read from a file.
            model(np.zeros((1, *model.input_shape[1:]), np.float32))
            model.export(str(target), format=name, verbose=False)
    except Exception as error:  # converters raise many kinds of exceptions
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(f"Keras cannot export the model as {name}: {reason}.") from error


def _open_keras(path: Path) -> Run:
    import keras

    opened = keras.models.load_model(path, compile=False)
    return lambda pictures: np.asarray(opened(pictures, training=False), np.float32)


def _open_saved_model(path: Path) -> Run:
    import tensorflow as tf

    opened = tf.saved_model.load(str(path))
    serve = opened.signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]

    def run(pictures: Floats) -> Floats:
        (probabilities,) = serve(**{name: tf.constant(pictures)}).values()
        return np.asarray(probabilities, np.float32)

    # The variables exist only as long as `opened`.
    run.opened = opened  # type: ignore[attr-defined]
    return run


def _open_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pictures: np.asarray(session.run(None, {name: pictures})[0], np.float32)
