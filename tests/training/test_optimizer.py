"""Optimizers and schedules as Keras objects."""

import keras
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
    for key, value in vars(config).items() - {("name", config.name)}:
        expected = pytest.approx(value) if isinstance(value, float) else value
        assert built[key] == expected


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
