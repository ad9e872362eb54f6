"""The schema of the groups `optimizer` and `schedule`."""

from dataclasses import KW_ONLY, dataclass

from omegaconf import MISSING

from flowersweep.fields import WATCHED, bounded, one_of


@dataclass
class OptimizerConfig:
    """The keys of every optimizer.

    Attributes:
        learning_rate: Initial learning rate; the default depends on the model.
        clipnorm: The gradient of each variable is clipped to this norm; null: not clipped.
        ema: Decay per step of an exponential moving average of the weights, which is validated and saved in their
            place; null: no average. A head is trained without.
        layer_decay: The learning rate of each layer is this times that of the layer after it; the last layer has the
            full rate.
    """

    name: str = MISSING
    learning_rate: float = bounded(above=0, high=10)
    clipnorm: float | None = bounded(above=0)
    _: KW_ONLY
    ema: float | None = bounded(None, above=0, below=1)
    layer_decay: float = bounded(1.0, above=0, high=1)


@dataclass
class AdamConfig(OptimizerConfig):
    """Kingma and Ba 2014, arXiv 1412.6980.

    Attributes:
        beta_1: Decay of the mean of the gradients.
        beta_2: Decay of the mean of their squares.
        epsilon: A small number that is added to a denominator.
    """

    beta_1: float = bounded(low=0, below=1)
    beta_2: float = bounded(low=0, below=1)
    epsilon: float = bounded(above=0)


@dataclass
class AdamWConfig(AdamConfig):
    """Adam with decoupled weight decay: Loshchilov and Hutter 2017, arXiv 1711.05101.

    Attributes:
        weight_decay: Fraction of the learning rate by which weights are reduced in each step.
    """

    weight_decay: float = bounded(low=0)


@dataclass
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum.

    Attributes:
        momentum: Fraction of the previous step that is added to the next one.
        nesterov: Whether the gradient is that after the momentum step.
    """

    momentum: float = bounded(low=0, below=1)
    nesterov: bool = MISSING


@dataclass
class RMSpropConfig(OptimizerConfig):
    """Tieleman and Hinton 2012.

    Attributes:
        rho: Decay of the mean of the squared gradients.
        momentum: Fraction of the previous step that is added to the next one.
        epsilon: A small number that is added to a denominator.
    """

    rho: float = bounded(low=0, below=1)
    momentum: float = bounded(low=0, below=1)
    epsilon: float = bounded(above=0)


@dataclass
class ScheduleConfig:
    """How the learning rate changes over the epochs."""

    name: str = MISSING


@dataclass
class PlateauConfig(ScheduleConfig):
    """Multiply the rate by `factor` when `monitor` has not improved for `patience` epochs.

    Attributes:
        monitor: The value to watch.
        factor: What the rate is multiplied by.
        patience: Epochs without improvement before the rate is reduced.
        min_delta: The smallest change that counts as an improvement.
        min_lr: The rate is never reduced below this one.
    """

    monitor: str = one_of(*WATCHED)
    factor: float = bounded(above=0, below=1)
    patience: int = bounded(low=1)
    min_delta: float = bounded(low=0)
    min_lr: float = bounded(low=0)


@dataclass
class CosineConfig(ScheduleConfig):
    """Half a cosine from the optimizer's rate to `final_fraction` of it, then constant: arXiv 1608.03983.

    Attributes:
        warmup_epochs: Epochs at the start in which the rate rises linearly from a hundredth of the optimizer's.
        final_fraction: Last rate as a fraction of the initial one.
        epochs: Number of epochs until the final rate, including the warm-up; null, or in a shorter phase: the
            epochs of the phase. A training that trainer.patience stops earlier does not reach the low rates.
    """

    warmup_epochs: int = bounded(low=0)
    final_fraction: float = bounded(low=0, high=1)
    epochs: int | None = bounded(low=1, high=100_000)
