"""What features depend on changes their bank's name; nothing else does."""

import dataclasses
import subprocess
import sys
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

from flowersweep.augment import build
from flowersweep.config.models import FineTunedConfig, HeadConfig
from flowersweep.models import build_network
from flowersweep.models.bank_key import (
    BankKey,
    augmentation_settings,
    code_digest,
    part_digest,
    prefix_digest,
)

KEY = BankKey(
    data="data",
    part="part",
    pictures=3,
    source_size=40,
    image_size=32,
    prefix="prefix",
    network="prefix 4",
    cut=7,
    augmentation={"name": "RandomFlip", "seed": 0},
    dtype="float16",
    engine="litert 2.3.0",
    code="code",
)

PREFIX = """
from flowersweep.models.bank_key import prefix_digest
import keras
keras.utils.set_random_seed(0)
inputs = keras.Input((4, 4, 3))
print(prefix_digest(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))))
"""


@cache
def backbone_prefix(fine_tune_at: int) -> keras.Model:
    """The prefix of the narrowest MobileNetV2, always with the same weights."""
    keras.utils.set_random_seed(0)
    config = FineTunedConfig(
        name="tuned",
        learning_rate=1e-3,
        backbone="MobileNetV2",
        weights=None,
        alpha=0.35,
        dropout=0.2,
        fine_tune_at=fine_tune_at,
        init_from=None,
        head=HeadConfig(1, 1e-3),
    )
    return build_network(config, num_classes=5, image_size=32).prefix


def small(units: int = 2, activation: str = "relu", width: int = 4) -> keras.Model:
    """A small model, always with the same weights."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((width,))
    return keras.Model(inputs, keras.layers.Dense(units, activation=activation)(inputs))


class TestKey:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("data", "other"),
            ("part", "other"),
            ("source_size", 41),
            ("image_size", 33),
            ("prefix", "other"),
            ("cut", 8),
            ("augmentation", {"name": "RandomFlip", "seed": 1}),
            ("augmentation", {"name": "RandomFlip", "seed": 0, "mode": "horizontal"}),
            ("augmentation", None),
            ("dtype", "float32"),
            ("engine", "litert 2.4.0"),
            ("code", "other"),
            ("resizing", "crop"),
            ("version", 0),
        ],
    )
    def test_every_ingredient_counts(self, field: str, value: Any) -> None:
        """Another value of any field gives another name."""
        assert dataclasses.replace(KEY, **{field: value}).digest != KEY.digest

    def test_is_the_same_tomorrow(self) -> None:
        """The name is a folder's and must not depend on the process."""
        assert KEY.digest == dataclasses.replace(KEY).digest
        assert len(KEY.digest) == 32

    def test_of_augmentations(self) -> None:
        """Settings carry name, seed and parameters; no augmentation has none, whatever its seed."""
        assert augmentation_settings(build("none")) is None
        assert augmentation_settings(dataclasses.replace(build("none"), seed=3)) is None
        assert augmentation_settings(build("RandomFlip")) == {
            "name": "RandomFlip",
            "seed": 0,
            "mode": "horizontal_and_vertical",
        }

    def test_of_parts(self) -> None:
        """Other pictures, or the same in another order, are another part."""
        assert part_digest(np.array([1, 2, 3])) == part_digest(np.array([1, 2, 3], np.int32).astype(np.int64))
        assert part_digest(np.array([1, 2, 3])) != part_digest(np.array([1, 3, 2]))
        assert part_digest(np.array([1, 2, 3])) != part_digest(np.array([1, 2]))

    def test_of_code(self) -> None:
        """The sources have a name."""
        assert len(code_digest()) == 32


class TestPrefix:
    @pytest.mark.slow
    def test_trials_with_the_same_cut_share_it(self) -> None:
        """Fine-tuning from 98 or 100 begins behind the same cut, from 120 behind another; Keras' counters run on."""
        assert prefix_digest(backbone_prefix(98)) == prefix_digest(backbone_prefix(100))
        assert prefix_digest(backbone_prefix(120)) != prefix_digest(backbone_prefix(100))

    def test_is_the_same_for_the_same_model(self) -> None:
        """Built twice in a process, where Keras numbers layers onward, a model has one name."""
        assert prefix_digest(small()) == prefix_digest(small())

    @pytest.mark.parametrize("change", [{"units": 3}, {"activation": "tanh"}, {"width": 5}])
    def test_depends_on_the_architecture(self, change: dict[str, Any]) -> None:
        """Another number of units, another function or another input is another prefix."""
        assert prefix_digest(small(**change)) != prefix_digest(small())

    def test_depends_on_every_weight(self) -> None:
        """The last bit of one weight counts."""
        changed = small()
        kernel = np.array(changed.weights[0])
        kernel[-1, -1] = np.nextafter(kernel[-1, -1], np.float32(9))
        changed.weights[0].assign(kernel)

        assert prefix_digest(changed) != prefix_digest(small())

    def test_depends_on_what_is_connected_to_what(self) -> None:
        """The same layers the other way round are another prefix."""

        def wired(first: int, second: int) -> keras.Model:
            keras.utils.set_random_seed(0)
            inputs = keras.Input((4,))
            branches = [keras.layers.Dense(4)(inputs), keras.layers.Dense(4)(inputs)]
            return keras.Model(inputs, keras.layers.Subtract()([branches[first], branches[second]]))

        assert prefix_digest(wired(0, 1)) == prefix_digest(wired(0, 1))
        assert prefix_digest(wired(0, 1)) != prefix_digest(wired(1, 0))

    @pytest.mark.slow
    def test_is_the_same_in_another_process(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Another process, with other hashes, gives the same weights and architecture the same name."""
        elsewhere = subprocess.run([sys.executable, "-c", PREFIX], capture_output=True, check=True, text=True)
        exec(PREFIX, {})  # noqa: S102 - the same program here
        assert elsewhere.stdout == capsys.readouterr().out
