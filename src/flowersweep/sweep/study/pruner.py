"""Create the pruner of a sweep from its node of the configuration."""

from omegaconf import DictConfig
from optuna.pruners import BasePruner, NopPruner

from flowersweep.errors import SweepError
from flowersweep.sweep.study.build import broken_rules, build, require

GROUP = "hydra/sweeper/pruner"


def make_pruner(cfg: DictConfig, *, n_directions: int = 1) -> BasePruner:
    """The pruner that `hydra.sweeper.pruner` describes.

    Args:
        cfg: The node, with a `_target_` in `optuna.pruners`; it may nest others, as PatientPruner does.
        n_directions: How many objectives the study has; Optuna prunes only with one.

    Raises:
        SweepError: A value is not legal, a package is missing, or there are several objectives.
    """
    if problems := list(broken_rules(cfg, "hydra.sweeper.pruner")):
        raise SweepError("\n".join(problems))
    if str(cfg.get("_target_")).endswith(".WilcoxonPruner"):
        require("scipy", f"{GROUP}=wilcoxon", f"{GROUP}=median")
    pruner: BasePruner = build(cfg, GROUP, ("optuna.pruners.*",))
    if n_directions > 1 and not isinstance(pruner, NopPruner):
        raise SweepError(
            f"{type(pruner).__name__} compares one objective, but hydra.sweeper.direction has {n_directions}; "
            f"use {GROUP}=none."
        )
    return pruner
