"""A network of the user's own. Importing this module imports Keras."""

import re
from typing import Any

import keras

from flowersweep.config.models import OwnConfig
from flowersweep.config.own_code import find_builder
from flowersweep.errors import ConfigError
from flowersweep.models.network import Network
from flowersweep.own.code import Code

# Layers and operations of Keras that leave the numbers of their input as they are.
_SAME_NUMBERS = frozenset(
    {"activation", "cast", "dropout", "flatten", "identity", "permute", "reshape", "squeeze", "transpose"}
)


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
    if isinstance(model, keras.Sequential) and model.built and not hasattr(model, "input"):
        # Keras gives no input and no output to a Sequential that begins with another one.
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
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
    if applied := _normalizes(model):
        return f"logits, but its output is that of {applied}; leave that out, softmax is added to the saved model"
    return None


def _normalizes(model: keras.Model) -> str | None:
    """The function, softmax or sigmoid, that makes probabilities of a model's logits; None if there is none."""
    # The steps of a functional model are in the order of its graph, at whose end no other branch is left.
    steps = model.layers if isinstance(model, keras.Sequential) else getattr(model, "operations", [])
    for step in reversed(steps):
        if isinstance(step, keras.Model):
            return _normalizes(step)
        kind = type(step).__name__.lower()
        activation = getattr(getattr(step, "activation", None), "__name__", "linear")
        for function in ("softmax", "sigmoid"):
            if function in {kind, activation}:
                return function
        if kind not in _SAME_NUMBERS or activation != "linear":
            return None
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
