"""Models as `.tflite` files for LiteRT: their signature, their precision, and the labels in the same file.

TensorFlow is imported inside functions.
"""

import warnings
import zipfile
from collections.abc import Callable
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flowersweep.data.decode import Pixels
from flowersweep.deploy.evaluation import EvaluationSet
from flowersweep.deploy.images import batches
from flowersweep.deploy.model_info import ModelInfo
from flowersweep.errors import DataError
from flowersweep.models.engine import Floats
from flowersweep.models.litert import run_converter
from flowersweep.streams import standard_error_held

if TYPE_CHECKING:
    import keras

FULL, HALF, INTEGER = PRECISIONS = ("float32", "float16", "int8")

SIGNATURE, INPUT, OUTPUT = "serving_default", "pictures", "probabilities"

# With a frozen MobileNetV2, 20, 100 and 300 gave accuracies within three pictures of 734; each takes time to convert.
CALIBRATION_PICTURES = 100

_SEED = 0
_BATCH = 32


def write_tflite(
    model: "keras.Model",
    info: ModelInfo,
    target: Path,
    precision: str = FULL,
    calibration: Pixels | None = None,
) -> None:
    """Write a model as a `.tflite` file with the signature `serving_default`.

    Its input `pictures`, shape (1, size, size, 3), is float32 or, for `int8`, uint8; its output `probabilities`, shape
    (1, number of classes), is always float32. The file is also a zip archive with labels.txt and labels.json, which is how
    the format stores files that belong to a model.

    Args:
        model: The model.
        info: Its classes and the size of its pictures.
        target: The path of the file.
        precision: One of PRECISIONS: of all numbers (`float32`), of the stored weights (`float16`), or of all
            calculations (`int8`).
        calibration: uint8, shape (n, size, size, 3), 0..255: pictures for the ranges of `int8`, which needs them.

    Raises:
        UnusableError: The converter fails.
    """
    import tensorflow as tf

    spec = tf.TensorSpec((1, info.size, info.size, 3), tf.float32, name=INPUT)
    function = tf.function(
        lambda pictures: {OUTPUT: model(pictures, training=False)}, autograph=False, input_signature=[spec]
    )
    # The converter names inputs and outputs only with a module, and makes constants only of its direct attributes.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)
    if precision != FULL:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == HALF:
        converter.target_spec.supported_types = [tf.float16]
    if precision == INTEGER:
        assert calibration is not None  # noqa: S101 (see above)
        shown = [_whole_range(calibration[0]), *calibration]
        converter.representative_dataset = lambda: ({INPUT: one[None].astype(np.float32)} for one in shown)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    with standard_error_held(), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", r"(?s).*tf\.lite\.Interpreter is deprecated"
        )  # the converter uses it
        target.write_bytes(run_converter(lambda: converter, "the model"))
    with zipfile.ZipFile(target, "a") as archive:
        for name, text in info.label_files.items():
            archive.writestr(
                zipfile.ZipInfo(name), text
            )  # without the time, so that equal exports are equal files


def open_tflite(path: Path) -> Callable[[Floats], Floats]:
    """Read a file of `write_tflite` as a function from any number of float32 pictures, 0..255, to probabilities."""
    from ai_edge_litert.interpreter import Interpreter

    with standard_error_held():  # it reports XNNPACK there
        opened = Interpreter(str(path))
        opened.allocate_tensors()
    serve = opened.get_signature_runner(SIGNATURE)
    dtype = serve.get_input_details()[INPUT]["dtype"]

    def run(pictures: Floats) -> Floats:
        given = pictures.astype(dtype)
        return np.concatenate([serve(**{INPUT: one[None]})[OUTPUT] for one in given])

    return run


def calibration_pictures(training: EvaluationSet, info: ModelInfo) -> Pixels:
    """The same at most CALIBRATION_PICTURES training pictures every time, as many of each class as there are.

    Args:
        training: The training pictures of the model's run.
        info: The size of the model's pictures, and how they become squares.

    Raises:
        DataError: None of them can be read.
    """
    order = np.random.default_rng(_SEED).permutation(len(training.paths))
    classes = [order[training.labels[order] == label] for label in np.unique(training.labels)]
    in_turn = [place for place in chain.from_iterable(zip_longest(*classes)) if place is not None]
    paths = [training.paths[place] for place in in_turn[:CALIBRATION_PICTURES]]
    images = [batch.images for batch in batches(paths, info.size, _BATCH, info.resizing)]
    if not sum(map(len, images)):
        raise DataError(f"None of the {len(paths)} training pictures for precision={INTEGER} could be read.")
    return np.concatenate(images)


def _whole_range(picture: Pixels) -> Pixels:
    """A picture with a black and a white corner, so that the integers of the input are the values of pixels."""
    whole = picture.copy()
    whole[0, 0], whole[-1, -1] = 0, 255
    return whole
