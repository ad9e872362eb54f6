"""Construction of the Keras optimizer and its learning-rate schedule from the configuration."""

import dataclasses
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from flowersweep.config.optimizers import CosineConfig, OptimizerConfig, ScheduleConfig

if TYPE_CHECKING:
    import keras


# A warm-up starts at this fraction of the learning rate.
WARMUP_START = 0.01


def build_optimizer(
    config: OptimizerConfig, schedule: ScheduleConfig, *, steps_per_epoch: int, epochs: int
) -> "keras.optimizers.Optimizer":
    """A new optimizer; its state never comes from another run.

    Args:
        config: The optimizer's name and its Keras arguments.
        schedule: Only a cosine schedule is part of the optimizer; a plateau schedule is a callback, and only one of
            them can be configured.
        steps_per_epoch: Batches in an epoch.
        epochs: Epochs of the phase; also the length of a cosine schedule without its own length or with a longer one.
    """
    import keras

    classes = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
    }
    arguments: dict[str, Any] = dataclasses.asdict(config)
    chosen, ema, layer_decay = (arguments.pop(key) for key in ("name", "ema", "layer_decay"))
    kind = classes[chosen] if layer_decay == 1 else _with_layer_decay(classes[chosen], layer_decay)
    if ema is not None:
        arguments |= {"use_ema": True, "ema_momentum": ema}
    if isinstance(schedule, CosineConfig):
        arguments["learning_rate"] = _cosine(schedule, config.learning_rate, steps_per_epoch, epochs)
    return kind(**arguments)


def _with_layer_decay(kind: Any, decay: float) -> Any:
    """A subclass of an optimizer in which each layer learns more slowly than the one after it.

    A layer is a kernel with the biases and the normalization that follow it. The step is scaled, not the gradient, whose
    scale is lost on Adam and RMSprop; decoupled weight decay is scaled with the step, of which it is a part.
    """

    class WithLayerDecay(kind):  # type: ignore[misc]  # the optimizer is known when it is called only
        def build(self, variables: Any) -> None:
            depth = list(accumulate(int(len(one.shape) > 1) for one in variables))
            self._rates = {
                id(one.value): decay ** (max(depth) - at) for one, at in zip(variables, depth, strict=True)
            }
            self.exclude_from_weight_decay(var_list=variables)  # from that with the same rate for all
            super().build(variables)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            rate = learning_rate * self._rates[id(variable)]
            if self.weight_decay is not None:
                self.assign_sub(variable, variable * self.weight_decay * rate)
            super().update_step(gradient, variable, rate)

    return WithLayerDecay


def first_learning_rate(config: OptimizerConfig, schedule: ScheduleConfig) -> float:
    """The rate that the first step must use, from the configuration alone."""
    warming_up = isinstance(schedule, CosineConfig) and schedule.warmup_epochs > 0
    return config.learning_rate * WARMUP_START if warming_up else config.learning_rate


def _cosine(schedule: CosineConfig, rate: float, steps_per_epoch: int, epochs: int) -> Any:
    """Linear warm-up from WARMUP_START of the rate, then half a cosine down to `final_fraction` of it."""
    import keras

    warmup = schedule.warmup_epochs * steps_per_epoch
    epochs = min(schedule.epochs or epochs, epochs)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=rate * WARMUP_START if warmup else rate,
        decay_steps=max(1, epochs * steps_per_epoch - warmup),
        alpha=schedule.final_fraction,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )
