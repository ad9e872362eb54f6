"""Optimizers and schedules as Keras objects."""

from dataclasses import replace

import keras
import numpy as np
import numpy.typing as npt
import pytest

from flowersweep.config.optimizers import (
    AdamConfig,
    AdamWConfig,
    CosineConfig,
    OptimizerConfig,
    PlateauConfig,
    RMSpropConfig,
    ScheduleConfig,
    SGDConfig,
)
from flowersweep.training.optimizer import build_optimizer, first_learning_rate

CONSTANT = ScheduleConfig(name="constant")
SGD = SGDConfig(name="sgd", learning_rate=0.5, clipnorm=1.0, momentum=0.9, nesterov=True)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (AdamConfig("adam", 0.01, None, 0.8, 0.9, 1e-6), keras.optimizers.Adam),
        (AdamWConfig("adamw", 0.01, None, 0.8, 0.9, 1e-6, 0.1), keras.optimizers.AdamW),
        (RMSpropConfig("rmsprop", 0.01, None, 0.8, 0.1, 1e-6), keras.optimizers.RMSprop),
        (SGD, keras.optimizers.SGD),
    ],
)
def test_every_setting_arrives(config: OptimizerConfig, kind: type[keras.optimizers.Optimizer]) -> None:
    """The Keras optimizer has every value of its configuration."""
    optimizer = build_optimizer(config, CONSTANT, steps_per_epoch=10, epochs=5)
    built = optimizer.get_config()

    assert type(optimizer) is kind
    for key, value in vars(config).items() - {("name", config.name), ("ema", None), ("layer_decay", 1.0)}:
        expected = pytest.approx(value) if isinstance(value, float) else value
        assert built[key] == expected


def test_averages_are_those_of_the_configuration() -> None:
    """With ema, the optimizer keeps averages with this decay; without, it keeps none."""
    averaged = build_optimizer(replace(SGD, ema=0.95), CONSTANT, steps_per_epoch=10, epochs=5)

    assert (averaged.use_ema, averaged.ema_momentum) == (True, 0.95)
    assert not build_optimizer(SGD, CONSTANT, steps_per_epoch=10, epochs=5).use_ema


class TestLayerDecay:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "config",
        [
            AdamConfig("adam", 0.01, None, 0.8, 0.9, 1e-6),
            AdamWConfig("adamw", 0.01, None, 0.8, 0.9, 1e-6, 3.0),
            RMSpropConfig("rmsprop", 0.01, None, 0.8, 0.5, 1e-6),
            SGDConfig("sgd", 0.01, 1.0, 0.9, nesterov=True),
        ],
    )
    @pytest.mark.parametrize("schedule", [CONSTANT, CosineConfig("cosine", 1, 0.1, None)])
    def test_scales_the_steps(self, config: OptimizerConfig, schedule: ScheduleConfig) -> None:
        """Of two equal layers the earlier one moves a fourth as far in every step, also where a plateau has changed the rate."""
        moved, plain = (self.moved(replace(config, layer_decay=decay), schedule) for decay in (0.25, 1.0))

        assert np.abs(plain).min() > 1e-6
        np.testing.assert_allclose(moved[:, 1], plain[:, 1], rtol=1e-4, atol=2e-7)
        np.testing.assert_allclose(moved[:, 0], plain[:, 0] / 4, rtol=1e-4, atol=2e-7)

    def moved(self, config: OptimizerConfig, schedule: ScheduleConfig) -> npt.NDArray[np.float64]:
        """How far three steps move kernel and bias of two equal layers, from the same weights: (3, 2, 2)."""
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1), keras.layers.Dense(1)])
        variables = model.trainable_variables
        optimizer = build_optimizer(config, schedule, steps_per_epoch=2, epochs=3)
        optimizer.build(variables)
        steps = []
        for gradient in (0.5, -0.2, 0.9):
            for one in variables:
                one.assign(keras.ops.ones_like(one))
            optimizer.apply([keras.ops.full(one.shape, gradient) for one in variables], variables)
            steps.append([float(keras.ops.sum(one)) - 1 for one in variables])
            if schedule is CONSTANT:
                optimizer.learning_rate = float(optimizer.learning_rate) / 2
        return np.array(steps).reshape(3, 2, 2)

    def test_counts_a_kernel_with_what_follows_it_as_a_layer(self) -> None:
        """A convolution, its BatchNorm and a layer after them: two layers, however many weights they have."""
        model = keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                keras.layers.Conv2D(1, 4),
                keras.layers.BatchNormalization(),
                keras.layers.Dense(1),
            ]
        )
        config = SGDConfig("sgd", 1.0, None, 0.0, nesterov=False, layer_decay=0.5)
        optimizer = build_optimizer(config, CONSTANT, steps_per_epoch=1, epochs=1)
        optimizer.build(model.trainable_variables)
        before = [np.array(one) for one in model.trainable_variables]
        optimizer.apply([keras.ops.ones_like(one) for one in model.trainable_variables])
        steps = [old - np.array(one) for old, one in zip(before, model.trainable_variables, strict=True)]

        assert [float(step.mean()) for step in steps] == pytest.approx([0.5] * 4 + [1.0] * 2, rel=1e-5)


class TestCosine:
    @pytest.mark.parametrize(("epochs", "at"), [(2, [0.25, 0.0, 0.0]), (9, [0.4267767, 0.25, 0.0])])
    def test_may_end_before_the_training(self, epochs: int, at: list[float]) -> None:
        """Its own length counts, and the rate stays where it ended; in a shorter phase it ends with the phase."""
        schedule = build_optimizer(
            SGD, CosineConfig("cosine", 0, 0.0, epochs), steps_per_epoch=10, epochs=4
        )._learning_rate

        assert [float(schedule(step)) for step in (10, 20, 40)] == pytest.approx(at, abs=1e-7)

    def test_falls_from_the_rate_to_its_final_fraction(self) -> None:
        """Half a cosine: the rate itself, half of it in the middle, the final fraction at the end."""
        schedule = build_optimizer(
            SGD, CosineConfig("cosine", 0, 0.0, None), steps_per_epoch=10, epochs=4
        )._learning_rate

        assert [float(schedule(step)) for step in (0, 20, 40)] == pytest.approx([0.5, 0.25, 0.0], abs=1e-7)

    def test_warms_up_first(self) -> None:
        """With one warm-up epoch the rate rises in a line to its peak at the end of that epoch."""
        schedule = build_optimizer(
            SGD, CosineConfig("cosine", 1, 0.1, None), steps_per_epoch=10, epochs=5
        )._learning_rate

        assert [float(schedule(step)) for step in (0, 5, 10, 50)] == pytest.approx([0.005, 0.2525, 0.5, 0.05])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (CONSTANT, 0.5),
        (PlateauConfig("plateau", "val_loss", 0.2, 3, 1e-4, 1e-6), 0.5),
        (CosineConfig("cosine", 0, 0.1, None), 0.5),
        (CosineConfig("cosine", 2, 0.1, None), 0.005),
    ],
)
def test_first_rate_is_what_the_optimizer_begins_with(schedule: ScheduleConfig, expected: float) -> None:
    """The rate of the first step, told from the configuration, is the built optimizer's."""
    optimizer = build_optimizer(SGD, schedule, steps_per_epoch=10, epochs=5)

    assert first_learning_rate(SGD, schedule) == pytest.approx(expected)
    assert float(optimizer.learning_rate) == pytest.approx(expected)
