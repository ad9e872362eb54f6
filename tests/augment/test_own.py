"""Tests of augmentations of the user's own: alone and in a stack, and what their keys contain."""

import numpy as np
import pytest

from flowersweep.augment import Own, build
from flowersweep.augment.draw import drawn
from flowersweep.augment.stack import Stack
from flowersweep.errors import ConfigError
from flowersweep.models.bank_key import augmentation_settings
from own_modules import WARMTH, Modules


def test_it_draws_and_applies(modules: Modules) -> None:
    """aug=own does what the class does, with the seed and the cycle of every augmentation."""
    modules.add("own_warmth_a", WARMTH)
    own = Own(build="own_warmth_a.RandomWarmth", arguments={"factor": 0.5}, seed=3, cycle=2)
    assert own.problems() == []
    assert own.n_uniforms == 1
    first, third = drawn(own, 0, 4)["0.scale"], drawn(own, 2, 4)["0.scale"]
    assert first.tolist() == third.tolist()
    assert 0.5 <= first.min() < first.max() <= 1
    images = np.full((4, 2, 2, 3), 100, np.float32)
    np.testing.assert_allclose(
        own.apply(images, {"0.scale": first}, 2)[:, 0, 0, 0],
        100 * first,
        rtol=1e-6,
    )


def test_in_a_stack(modules: Modules) -> None:
    """Its parameters stand beside build; the stack knows whose code it runs."""
    modules.add("own_warmth_b", WARMTH)
    stack = Stack(layers=["RandomFlip", {"build": "own_warmth_b.RandomWarmth", "factor": 0.4}])
    assert [type(layer).__name__ for layer in stack.built] == ["RandomFlip", "RandomWarmth"]
    assert stack.built[1].factor == 0.4  # type: ignore[attr-defined]
    assert [code.module for code in stack.own_code()] == ["own_warmth_b"]
    assert Stack().own_code() == []


def test_a_crop_of_ones_own_comes_first(modules: Modules) -> None:
    """In another place it would get pictures of the image size and leave them as they are."""
    modules.add(
        "own_crop", "from flowersweep.augment.crop import RandomCrop\n\nclass Corner(RandomCrop): pass\n"
    )
    modules.add("own_larger", WARMTH + "    def source_size(self, image_size): return image_size + 8\n")
    for name in ("own_crop.Corner", "own_larger.RandomWarmth"):
        assert Stack(layers=[{"build": name}, "RandomFlip"]).problems() == []
        (problem,) = Stack(layers=["RandomFlip", {"build": name}]).problems()
        assert problem.startswith(
            f"{name.split('.')[1]} must be the first layer of a stack and occur only once"
        )


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("RandomWarmth", {"factr": 1}, "RandomWarmth has no parameter 'factr'; choose one of factor."),
        (
            "RandomWarmth",
            {"factor": 2},
            "RandomWarmth.factor must be at least 0.0 and at most 1.0, but is 2.",
        ),
        ("RandomWarmth", {"factor": "x"}, "RandomWarmth.factor must be of type float, but is 'x'."),
        ("np", {}, "must be a subclass of flowersweep.augment.Augmentation, but is <module 'numpy'"),
        ("One", {}, "must return arrays with one row per picture, but of 3 pictures returns [1]."),
        ("Bad", {}, "its method parameters fails (KeyError: 'oh')."),
    ],
)
def test_bad_arguments(modules: Modules, name: str, arguments: dict[str, object], told: str) -> None:
    """What the class does not accept is one message while composing."""
    modules.add(
        "own_warmth_c",
        f"{WARMTH}\nclass One(RandomWarmth):\n    def parameters(self, uniforms): return {{'x': np.ones(1)}}\n"
        "class Bad(RandomWarmth):\n    def parameters(self, uniforms): raise KeyError('oh')\n",
    )
    (problem,) = Own(build=f"own_warmth_c.{name}", arguments=arguments).problems()
    assert told in problem


def test_it_must_be_allowed(modules: Modules) -> None:
    """A module that is not is not imported: not alone, and not in a stack."""
    modules.add("own_warmth_d", "raise SystemExit(7)", allow=False)
    with pytest.raises(
        ConfigError, match=r"aug\.layers=own_warmth_d.A names Python code that this machine does not allow"
    ):
        build({"build": "own_warmth_d.A"})
    (problem,) = Own(build="own_warmth_d.A").problems()
    assert problem.startswith("aug.build=own_warmth_d.A names Python code that this machine does not allow")


def test_features_are_named_by_its_text(modules: Modules) -> None:
    """Edited code has another key, alone and in a stack; augmentations of this package have none of this."""
    modules.add("own_warmth_e", WARMTH)
    modules.add("own_warmth_f", f"{WARMTH}\n# edited\n")
    settings = [
        augmentation_settings(augmentation)
        for name in "ef"
        for augmentation in (
            Own(build=f"own_warmth_{name}.RandomWarmth"),
            Stack(layers=[{"build": f"own_warmth_{name}.RandomWarmth"}]),
        )
    ]
    codes = [one["own code"] for one in settings if one]
    assert codes[0] == codes[1] != codes[2] == codes[3]
    assert "own code" not in (augmentation_settings(build("RandomFlip")) or {})
