"""Pretrained backbones of keras.applications: build them, load weights, cut them into prefix and suffix.

Importing this module imports Keras.
"""

import inspect
import math
import random
import warnings
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers

from flowersweep.config.models import FrozenConfig
from flowersweep.errors import ConfigError, WeightsError
from flowersweep.models.cuts import cut_before
from flowersweep.models.network import InferenceMode, Network
from flowersweep.texts import expanded

# The preprocessing of backbones, as keras.applications' preprocess_input; the others rescale internally.
MINUS_ONE_TO_ONE = frozenset(
    {"MobileNet", "MobileNetV2", "ResNet50V2", "ResNet101V2", "InceptionV3", "Xception"}
)
IMAGENET_STATISTICS = frozenset({"DenseNet121", "DenseNet169"})
# Keras inserts a Rescaling behind the Normalization of these with weights="imagenet" only.
RESCALED = frozenset({"EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3"})
_IMAGENET_SCALE = [1 / math.sqrt(deviation) for deviation in (0.229, 0.224, 0.225)]


def build_backbone(config: FrozenConfig, *, num_classes: int, image_size: int) -> Network:
    """Backbone, GlobalAveragePooling2D, Dropout, Dense(logits).

    The prefix of a frozen network ends with the pooling, that of a fine-tuned one at the last narrow cut before
    `fine_tune_at`; the layers between the cut and `fine_tune_at` belong to the suffix but stay frozen.

    Args:
        config: The backbone, its weights and, with `fine_tune_at`, the first trained layer.
        num_classes: Number of logits.
        image_size: Side length of the pictures in pixels.

    Raises:
        ConfigError: The weights do not fit, or `fine_tune_at` is beyond the last layer.
        WeightsError: The weights are not available.
    """
    base = _base(config, image_size)
    fine_tune_at = getattr(config, "fine_tune_at", None)
    if fine_tune_at is None:
        fine_tune_at = len(base.layers)
    if fine_tune_at > len(base.layers):
        raise ConfigError(
            f"model.fine_tune_at must be at most {len(base.layers)}, the number of {config.backbone}'s layers, but is "
            f"{fine_tune_at}; `python -m flowersweep layers` lists them."
        )
    for index, layer in enumerate(base.layers):
        layer.trainable = index >= fine_tune_at
    pooling = layers.GlobalAveragePooling2D(name="pooling")
    head = [
        layers.Dropout(config.dropout, name="dropout"),
        layers.Dense(num_classes, dtype="float32", name="logits"),
    ]
    frozen = fine_tune_at == len(base.layers)
    cut = len(base.layers) - 1 if frozen else cut_before(base, fine_tune_at)

    pictures = keras.Input((image_size, image_size, 3), name="pictures")
    scaled = preprocessing(config.backbone)(pictures)
    whole = keras.Model(pictures, _chain(base(scaled), [pooling, *head]), name=config.name)
    features = keras.Model(base.input, base.layers[cut].output, name="before_the_cut")
    if frozen:
        prefix = keras.Model(pictures, pooling(features(scaled)), name="prefix")
        suffix_input = keras.Input(prefix.output.shape[1:], name="features")
        suffix = keras.Model(suffix_input, _chain(suffix_input, head), name="suffix")
    else:
        prefix = keras.Model(pictures, features(scaled), name="prefix")
        suffix_input = keras.Input(prefix.output.shape[1:], name="features")
        rest = InferenceMode(
            keras.Model(base.layers[cut].output, base.output, name="behind_the_cut"), name="backbone"
        )
        suffix = keras.Model(suffix_input, _chain(rest(suffix_input), [pooling, *head]), name="suffix")
    return Network(prefix=prefix, suffix=suffix, whole=whole, base=base, cut=cut)


def preprocessing(backbone: str) -> keras.layers.Layer:
    """A layer that converts raw pictures, 0..255, to the range that a backbone was trained on."""
    if backbone in MINUS_ONE_TO_ONE:
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")
    if backbone in IMAGENET_STATISTICS:
        mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        scale = [1 / (255 * one) for one in deviation]
        offset = [-one / other for one, other in zip(mean, deviation, strict=True)]
        return layers.Rescaling(scale, offset=offset, name="preprocessing")
    return layers.Rescaling(1.0, name="preprocessing")


def _base(config: FrozenConfig, image_size: int) -> keras.Model:
    factory: Any = getattr(keras.applications, config.backbone)
    options: dict[str, Any] = {
        "input_shape": (image_size, image_size, 3),
        "include_top": False,
        "weights": None,
    }
    if config.alpha is not None and "alpha" in inspect.signature(factory).parameters:
        options["alpha"] = config.alpha
    if config.weights == "imagenet":
        try:
            return factory(**{**options, "weights": "imagenet"})
        except Exception as error:
            raise WeightsError(
                f"Keras could not get {config.backbone}'s ImageNet weights ({_first_line(error)}); connect to the "
                "network once, or give a file: model.weights=PATH.weights.h5, or train from scratch: model.weights=null."
            ) from error
    base = factory(**options)
    path = None if config.weights is None else expanded(config.weights)
    if path is not None:
        _load(base, path, config)
    return _rescaled(base, path) if config.backbone in RESCALED else base


def _load(base: keras.Model, path: Path, config: FrozenConfig) -> None:
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter(
                "always"
            )  # Keras warns about every layer that does not fit before it raises
            base.load_weights(path)
    except Exception as error:
        raise ConfigError(
            f"model.weights={path} does not fit {config.backbone} with alpha {config.alpha} ({_first_line(error)}); "
            "it must be a .weights.h5 of the same network without its top."
        ) from error
    for one in told:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _rescaled(base: keras.Model, path: Path | None) -> keras.Model:
    """The network with the layers that Keras gives it for weights="imagenet", the function being that of the given weights.

    Every index in its list of layers is therefore the same for all weights. The scale is 1 where Keras has no such layer:
    for random weights, and for a file of a network that was built without it.
    """
    scale = _IMAGENET_SCALE if path is not None and _was_rescaled(base, path) else 1.0

    def call(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> Any:
        output = layer(*inputs, **options)
        return layers.Rescaling(scale)(output) if isinstance(layer, layers.Normalization) else output

    state = (
        random.getstate()
    )  # Keras seeds new layers from it; those that follow are to be the same for all weights
    clone = keras.models.clone_model(
        base, input_tensors=keras.Input(base.input.shape[1:]), call_function=call
    )
    random.setstate(state)
    clone.set_weights(base.get_weights())
    _normalization(clone).finalize_state()  # it computes with copies of its statistics
    return clone


def _was_rescaled(base: keras.Model, path: Path) -> bool:
    """Whether a file of weights, which `base` has loaded, is from a network with the second Rescaling."""
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            if "layers" in file:  # a .weights.h5 names all layers, also those without weights
                return "rescaling_1" in file["layers"]
    # Other formats, such as that of Keras' own downloads, do not tell. Only a normalization that is not the
    # identity was made for the layer.
    return not np.array_equal(_normalization(base).get_weights()[1], np.ones(3))


def _normalization(base: keras.Model) -> keras.layers.Normalization:
    return next(layer for layer in base.layers if isinstance(layer, layers.Normalization))


def _chain(tensor: Any, following: list[keras.layers.Layer]) -> Any:
    for layer in following:
        tensor = layer(tensor)
    return tensor


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
