"""The schema of the groups `optimizer` and `schedule`."""

from dataclasses import dataclass

from omegaconf import MISSING

from flowersweep.fields import WATCHED, bounded, one_of


@dataclass
class OptimizerConfig:
    """The keys of every optimizer."""

    name: str = MISSING
    learning_rate: float = bounded(above=0, high=10)
    # The gradient of each variable is clipped to this norm; null: not clipped.
    clipnorm: float | None = bounded(above=0)


@dataclass
class AdamConfig(OptimizerConfig):
    """Kingma and Ba 2014, arXiv 1412.6980."""

    beta_1: float = bounded(low=0, below=1)
    beta_2: float = bounded(low=0, below=1)
    epsilon: float = bounded(above=0)


@dataclass
class AdamWConfig(AdamConfig):
    """Adam with decoupled weight decay: Loshchilov and Hutter 2017, arXiv 1711.05101."""

    weight_decay: float = bounded(low=0)


@dataclass
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum."""

    momentum: float = bounded(low=0, below=1)
    nesterov: bool = MISSING


@dataclass
class RMSpropConfig(OptimizerConfig):
    """Tieleman and Hinton 2012."""

    rho: float = bounded(low=0, below=1)
    momentum: float = bounded(low=0, below=1)
    epsilon: float = bounded(above=0)


@dataclass
class ScheduleConfig:
    """How the learning rate changes over the epochs."""

    name: str = MISSING


@dataclass
class PlateauConfig(ScheduleConfig):
    """Multiply the rate by `factor` when `monitor` has not improved for `patience` epochs."""

    monitor: str = one_of(*WATCHED)
    factor: float = bounded(above=0, below=1)
    patience: int = bounded(low=1)
    min_delta: float = bounded(low=0)
    min_lr: float = bounded(low=0)


@dataclass
class CosineConfig(ScheduleConfig):
    """Half a cosine from the optimizer's rate to `final_fraction` of it, then constant: arXiv 1608.03983."""

    warmup_epochs: int = bounded(low=0)
    final_fraction: float = bounded(low=0, high=1)
    # Number of epochs until the final rate, including the warm-up; null, or in a shorter phase: the epochs of the phase.
    # A training that trainer.patience stops earlier does not reach the low rates.
    epochs: int | None = bounded(low=1, high=100_000)
