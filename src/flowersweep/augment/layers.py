"""The single augmentations by name, and the function that builds one from its configuration."""

import sys
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, cast

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowersweep.augment.affine import (
    RandomRotation,
    RandomRotation_prob,
    RandomShear,
    RandomTranslation,
    RandomTranslation_prob,
    RandomZoom,
)
from flowersweep.augment.base import Augmentation, NoAugmentation
from flowersweep.augment.colour import RandomGrayscale, RandomHue, RandomSaturation
from flowersweep.augment.crop import RandomCrop
from flowersweep.augment.erase import RandomErasing
from flowersweep.augment.flip import RandomFlip, RandomFlip_prob
from flowersweep.augment.focus import RandomGaussianBlur, RandomSharpness
from flowersweep.augment.mixing import CutMix, MixUp
from flowersweep.augment.policy import AugMix, RandAugment
from flowersweep.augment.tone import RandomBrightness, RandomContrast, RandomInvert, RandomPosterization
from flowersweep.errors import ConfigError
from flowersweep.fields import RULE_KEY
from flowersweep.own.code import AUGMENTATIONS, Code, find
from flowersweep.texts import choose_one_of

# The published study's in its order, the policies, what mixes two pictures, then others with the name of a Keras 3 layer, in alphabetical order.
LAYERS: dict[str, type[Augmentation]] = {
    "none": NoAugmentation,
    "RandomFlip": RandomFlip,
    "RandomRotation": RandomRotation,
    "RandomContrast": RandomContrast,
    "RandomZoom": RandomZoom,
    "RandomTranslation": RandomTranslation,
    "RandomCrop": RandomCrop,
    "RandomFlip_prob": RandomFlip_prob,
    "RandomRotation_prob": RandomRotation_prob,
    "RandomTranslation_prob": RandomTranslation_prob,
    "RandAugment": RandAugment,
    "AugMix": AugMix,
    "MixUp": MixUp,
    "CutMix": CutMix,
    "RandomBrightness": RandomBrightness,
    "RandomErasing": RandomErasing,
    "RandomGaussianBlur": RandomGaussianBlur,
    "RandomGrayscale": RandomGrayscale,
    "RandomHue": RandomHue,
    "RandomInvert": RandomInvert,
    "RandomPosterization": RandomPosterization,
    "RandomSaturation": RandomSaturation,
    "RandomSharpness": RandomSharpness,
    "RandomShear": RandomShear,
}


def build(spec: Any) -> Augmentation:
    """Build one augmentation from its name, or from a mapping of `name` (or `build`, for one's own) and parameters.

    Args:
        spec: As in a stack's `layers`: "RandomFlip", {"name": "RandomRotation", "factor": 0.1} or
            {"build": "my_module.RandomWarmth", "factor": 0.1}.

    Returns:
        The augmentation, its parameters checked for type and range.

    Raises:
        ConfigError: The name or a parameter is unknown, or a value has the wrong type or is out of range.
    """
    if (code := own_code_of(spec)) is not None:
        return build_own(code, {key: value for key, value in spec.items() if key != "build"})
    values = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
        raise ConfigError(
            f"An augmentation layer must be a name or a mapping with one, like {{name: RandomFlip}}, but is {spec!r}."
        )
    name = values["name"]
    if name not in LAYERS:
        raise ConfigError(f"There is no augmentation layer {name!r}; {choose_one_of(list(LAYERS), name)}")
    return _constructed(LAYERS[name], name, {key: value for key, value in values.items() if key != "name"})


def own_code_of(spec: Any) -> Code | None:
    """The code that an entry of a stack's `layers` names; None for an augmentation of this package.

    Raises:
        ConfigError: It may not be imported, or there is no such code.
    """
    if not isinstance(spec, Mapping) or "build" not in spec:
        return None
    return find("aug.layers", str(spec["build"]), AUGMENTATIONS)


def build_own(code: Code, arguments: Mapping[str, Any]) -> Augmentation:
    """Import an augmentation of the user's own and build it.

    Raises:
        ConfigError: It cannot be imported or is no augmentation, or a parameter is unknown or not legal.
    """
    had_tensorflow = "tensorflow" in sys.modules
    kind = code.load()
    if not had_tensorflow and "tensorflow" in sys.modules:
        raise ConfigError(
            f"{code.shown}: {code.file.name} imports Keras or TensorFlow before a run can configure it; import it inside the "
            "methods of the augmentation, and keep networks and callbacks in another module."
        )
    if not (isinstance(kind, type) and issubclass(kind, Augmentation)):
        raise ConfigError(
            f"{code.shown} must be a subclass of flowersweep.augment.Augmentation, but is {kind!r}."
        )
    built = _constructed(kind, code.name, arguments)
    try:
        rows = [len(values) for values in built.parameters(np.full((3, built.n_uniforms), 0.5)).values()]
    except Exception as error:
        raise ConfigError(
            f"{code.shown}: its method parameters fails ({type(error).__name__}: {error})."
        ) from error
    if any(count != 3 for count in rows):
        raise ConfigError(
            f"{code.shown}: its method parameters must return arrays with one row per picture, but of 3 pictures returns {rows}."
        )
    return built


def _constructed(layer: type[Augmentation], name: str, values: Mapping[str, Any]) -> Augmentation:
    # A layer has no separate seed and cycle: one stream of draws is used for the complete stack.
    known = {entry.name: entry for entry in fields(layer) if entry.name not in {"name", "seed", "cycle"}}
    config = OmegaConf.structured(layer)
    for key, value in values.items():
        _set(config, key, value, name, known)
    built = cast("Augmentation", OmegaConf.to_object(config))
    if problems := built.problems():
        raise ConfigError(" ".join(problems))
    return built


def _set(config: Any, key: str, value: Any, name: str, known: "Mapping[str, Field[Any]]") -> None:
    """Set one parameter, or raise a ConfigError that says why it cannot be set."""
    if key not in known:
        allowed = choose_one_of(list(known), str(key)) if known else "it has none."
        raise ConfigError(f"The augmentation layer {name} has no parameter {key!r}; {allowed}")
    try:
        OmegaConf.update(config, key, value)
    except OmegaConfBaseException as error:
        kind = getattr(known[key].type, "__name__", str(known[key].type))
        raise ConfigError(f"{name}.{key} must be of type {kind}, but is {value!r}.") from error
    rule = known[key].metadata.get(RULE_KEY)
    if rule is not None and value is not None and not rule.accepts(config[key]):
        raise ConfigError(f"{name}.{key} must be {rule.allowed}, but is {value!r}.")
