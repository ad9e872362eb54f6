"""The setting `trainer.class_weight`: none, balanced, or the weight of each class by its name."""

import math
from collections.abc import Sequence
from typing import Any

from flowersweep.errors import ConfigError
from flowersweep.texts import nearest, paired

NONE, BALANCED = "none", "balanced"
_FORMS = (
    "none, balanced, a mapping as in {daisy: 2, roses: 0.5}, or, for names that Hydra does not allow as keys, pairs as in "
    "[['1e5', 2]]"
)


def named_weights(setting: Any) -> str | dict[str, float]:
    """The setting as `none`, `balanced`, or weights by the names of classes.

    Args:
        setting: As configured; null is none.

    Raises:
        ConfigError: It is something else.

    Example:
        >>> named_weights([["1e5", 2], ["daisy", 0.5]])
        {'1e5': 2.0, 'daisy': 0.5}
    """
    if setting is None or setting in (NONE, BALANCED):
        return setting or NONE
    if isinstance(setting, dict):
        pairs = list(setting.items())
    elif isinstance(setting, list) and all(isinstance(one, list) and len(one) == 2 for one in setting):
        pairs = [(name, weight) for name, weight in setting]
    else:
        raise ConfigError(
            f"trainer.class_weight must be {_FORMS}, but is {setting!r}.{nearest(str(setting), (NONE, BALANCED))}"
        )
    for name, weight in pairs:
        if not isinstance(name, str):
            raise ConfigError(
                f"trainer.class_weight names a class {name!r}, which is not a text; write [['NAME', {weight}]] on the command "
                "line, or put the name in quotes in a file."
            )
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not (math.isfinite(weight) and weight >= 0):
            raise ConfigError(
                f"The weight of class {name} in trainer.class_weight must be a number of at least 0, but is {weight!r}."
            )
    return {name: float(weight) for name, weight in pairs}


def weights_by_class(setting: Any, class_names: Sequence[str]) -> str | dict[str, float]:
    """The setting as `named_weights` gives it, with the names as the pictures' classes are written."""
    weights = named_weights(setting)
    if isinstance(weights, str):
        return weights
    written = paired(weights, class_names)
    return {written.get(name, name): weight for name, weight in weights.items()}


def check_names(setting: Any, class_names: Sequence[str]) -> None:
    """Refuse weights of classes that the pictures do not have, and weights that leave nothing to train on.

    Raises:
        ConfigError: There is such a class, or every class has the weight 0; those that are not named have 1.
    """
    weights = weights_by_class(setting, class_names)
    unknown = [] if isinstance(weights, str) else [name for name in weights if name not in class_names]
    if unknown:
        raise ConfigError(
            f"trainer.class_weight names {', '.join(unknown)}, but the classes of the pictures are "
            f"{', '.join(class_names)}.{nearest(unknown[0], class_names)}"
        )
    if not isinstance(weights, str) and not any(weights.get(name, 1.0) for name in class_names):
        raise ConfigError(
            f"trainer.class_weight gives every class of the pictures ({', '.join(class_names)}) the weight 0; give one of them a "
            "weight of more than 0."
        )
