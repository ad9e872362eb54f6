"""A network of the user's own. Importing this module imports Keras."""

import re
from typing import Any

import keras

from flowersweep.config.models import OwnConfig
from flowersweep.config.own_code import find_builder
from flowersweep.errors import ConfigError
from flowersweep.models.network import Network
from flowersweep.own.code import Code


def build_own(config: OwnConfig, *, num_classes: int, image_size: int) -> Network:
    """Call the user's function and check what it returns.

    Args:
        config: The function and its other arguments.
        num_classes: Number of logits.
        image_size: Side length of the pictures in pixels.

    Returns:
        A network whose prefix is the identity: all its layers may be trained.

    Raises:
        ConfigError: The function cannot be imported or called, or its result is not such a model.
    """
    code = find_builder(config.build)
    shape = (image_size, image_size, 3)
    try:
        model = code.load()(input_shape=shape, num_classes=num_classes, **config.arguments)
    except ConfigError:
        raise
    except Exception as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        raise ConfigError(
            f"{code.shown} cannot be built with input_shape={shape}, num_classes={num_classes} and model.arguments="
            f"{config.arguments} ({type(error).__name__}: {reason})."
        ) from error
    if problem := _problem(model, shape, num_classes):
        raise ConfigError(f"{code.shown} must return {problem}.")
    _require_loadable(model, code)
    return Network(prefix=None, suffix=model, whole=model)


def _problem(model: Any, shape: tuple[int, int, int], num_classes: int) -> str | None:
    """What the function must return, if it does not."""
    if not isinstance(model, keras.Model):
        return f"a keras.Model, but returns {model!r}"
    given = model.input if getattr(model, "inputs", None) else None
    if not isinstance(given, keras.KerasTensor) or given.shape != (None, *shape):
        taken = getattr(given, "shape", "something else")
        return f"a model that starts with one keras.Input({shape}), but this one takes {taken}"
    output = model.output
    if not isinstance(output, keras.KerasTensor) or output.shape != (None, num_classes):
        return f"a model with {num_classes} logits for each picture, but the output of this one is {getattr(output, 'shape', output)}"
    if output.dtype != "float32":
        return f'logits in float32, but these are {output.dtype}; give the last layer dtype="float32"'
    last = model.layers[-1]
    if (
        isinstance(last, keras.layers.Softmax)
        or getattr(last, "activation", None) is keras.activations.softmax
    ):
        return "logits, but its last layer applies softmax; leave that out, it is added to the saved model"
    return None


def _require_loadable(model: keras.Model, code: Code) -> None:
    """Refuse a model that Keras would save, but not load again in safe mode."""
    try:
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model), safe_mode=True)
    except Exception as error:
        unknown = re.search(r"Could not locate (?:class|function) '([^']+)'", str(error))
        found = f" of its {unknown.group(1)}" if unknown else " of a Lambda layer" * ("lambda" in str(error))
        raise ConfigError(
            f"{code.shown} returns a model that Keras could not load again because{found or ' of an object in it'}; decorate your own "
            f'classes and functions with @keras.saving.register_keras_serializable(package="{code.module}"), and write a class '
            "instead of a Lambda layer."
        ) from error
