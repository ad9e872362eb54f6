"""Stacks: order, shared draws, and one clear sentence for each mistake."""

from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from flowersweep.augment.affine import RandomRotation, RandomZoom
from flowersweep.augment.draw import uniforms
from flowersweep.augment.flip import RandomFlip
from flowersweep.augment.stack import Stack
from flowersweep.errors import ConfigError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 18, 18, 3)).astype(np.float32)


def test_layers_are_applied_in_order_with_their_own_columns() -> None:
    """A stack gives what its layers give one after the other on their shares of the draw."""
    import tensorflow as tf

    images, drawn = tf.constant(IMAGES), uniforms(0, 0, 6, 3)
    stack = Stack(layers=["RandomFlip", {"name": "RandomRotation", "factor": 0.1}])
    flipped = RandomFlip().apply(images, RandomFlip().parameters(drawn[:, :2]), 18)
    rotation = RandomRotation(factor=0.1)
    expected = rotation.apply(flipped, rotation.parameters(drawn[:, 2:]), 18)
    assert stack.n_uniforms == 3
    assert set(stack.parameters(drawn)) == {"0.flipped", "1.matrix"}
    assert np.array_equal(stack.apply(images, stack.parameters(drawn), 18), expected)


def test_two_layers_of_one_kind_draw_apart() -> None:
    """The same layer twice gets two independent draws."""
    drawn = Stack(layers=["RandomRotation", "RandomRotation"]).parameters(uniforms(0, 0, 10, 2))
    assert not np.array_equal(drawn["0.matrix"], drawn["1.matrix"])


def test_a_crop_comes_first_and_brings_its_source_size() -> None:
    """A stack with a crop takes larger pictures and returns the image size."""
    stack = Stack(layers=["RandomCrop", "RandomFlip"])
    result = stack.apply(IMAGES, stack.parameters(uniforms(0, 0, 6, 4)), 16)
    assert stack.problems() == []
    assert stack.source_size(16) == 18
    assert np.asarray(result).shape == (6, 16, 16, 3)


def test_it_is_built_from_a_composed_configuration() -> None:
    """Layers given as a configuration tree work like plain lists and mappings."""
    config = OmegaConf.merge(
        OmegaConf.structured(Stack), {"layers": [{"name": "RandomZoom", "width_factor": None}, "none"]}
    )
    stack = OmegaConf.to_object(config)
    assert isinstance(stack, Stack)
    assert [layer.name for layer in stack.built] == ["RandomZoom", "none"]
    assert stack.built[0] == RandomZoom(width_factor=None)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([], ["at least one layer", "aug=none"]),
        (["RandomFlip", "RandomCrop"], ["RandomCrop must be the first"]),
        (["RandomCrop", "RandomCrop"], ["only once"]),
        (["RandomFlop"], ["'RandomFlop'", "Did you mean RandomFlip?", "RandAugment"]),
        (["stack"], ["no augmentation layer 'stack'"]),
    ],
)
def test_a_stack_that_cannot_be_built_is_refused_in_one_sentence(layers: list[Any], said: list[str]) -> None:
    """`problems` says it and using the stack raises it."""
    stack = Stack(layers=layers)
    [problem] = stack.problems()
    assert all(part in problem for part in said)
    with pytest.raises(ConfigError, match=r"\w"):
        stack.source_size(16)
