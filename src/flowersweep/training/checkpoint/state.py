"""What changes in a phase from epoch to epoch, taken and put back. Importing this module imports Keras."""

import types
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from flowersweep.cache.checkpoints import Arrays, Checkpoint
from flowersweep.training.callbacks import BestWeights

_VARIABLES, _BEST, _CALLBACKS = "variables", "best", "callbacks"
# Set by Keras before each training.
_KERAS_OWN = ("_model", "params", "validation_data")
# Keras' callbacks that monitor a value change the sign of this setting in their first epoch, also when they go on.
_SIGNED, _MONITORS = "min_delta", "monitor_op"
_PLAIN = (bool, int, float, str, types.NoneType)
_CONSTANT = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)


class PhaseState:
    """The state of a phase between two epochs.

    Order and augmentation of the pictures are not part of it: they are functions of the seeds and the epoch.

    Args:
        variables: Of the networks and the optimizer; random states of layers are variables, too.
        best: Has the weights of the best epoch.
        callbacks: Others whose attributes change.
    """

    def __init__(
        self, variables: Iterable[Any], best: BestWeights, callbacks: Sequence[keras.callbacks.Callback]
    ) -> None:
        self._variables = list({id(variable): variable for variable in variables}.values())
        self._best = best
        self._callbacks = callbacks

    def unstorable(self) -> str | None:
        """A callback's attribute that cannot be stored, for a message; None if all can."""
        for callback in self._callbacks:
            for name, value in _attributes(callback).items():
                if not (_is_plain(value) or isinstance(value, _CONSTANT)):
                    return f"{type(callback).__name__}.{name} is a {type(value).__name__}"
        return None

    def arrays(self) -> dict[str, Arrays]:
        """The arrays, by group."""
        return {
            _VARIABLES: [np.asarray(variable) for variable in self._variables],
            _BEST: self._best.arrays(),
        }

    def values(self) -> dict[str, Any]:
        """The values for JSON."""
        return {
            _BEST: self._best.value,
            _CALLBACKS: [
                {name: value for name, value in _attributes(callback).items() if _is_plain(value)}
                for callback in self._callbacks
            ],
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put the state of a checkpoint back; Keras' callbacks forget it when a training begins, so this comes after that."""
        for variable, stored in zip(self._variables, checkpoint.arrays[_VARIABLES], strict=True):
            own_type = np.asarray(variable).dtype  # NumPy stores bfloat16 as bytes without a type
            variable.assign(stored.view(own_type) if stored.dtype.kind == "V" else stored)
        values = checkpoint.about["state"]
        self._best.put_back(values[_BEST], checkpoint.arrays[_BEST])
        for callback, attributes in zip(self._callbacks, values[_CALLBACKS], strict=True):
            vars(callback).update(attributes)


def _attributes(callback: keras.callbacks.Callback) -> dict[str, Any]:
    left_out = (*_KERAS_OWN, _SIGNED) if hasattr(callback, _MONITORS) else _KERAS_OWN
    return {name: value for name, value in vars(callback).items() if name not in left_out}


def _is_plain(value: Any) -> bool:
    """Whether JSON returns the same value."""
    if type(value) is list:
        return all(_is_plain(item) for item in value)
    if type(value) is dict:
        return all(type(name) is str and _is_plain(item) for name, item in value.items())
    return type(value) in _PLAIN
