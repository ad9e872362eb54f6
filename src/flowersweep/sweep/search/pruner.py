"""The pruner of a sweep: created from its node of the configuration, and asked whether a trial should stop."""

from omegaconf import DictConfig
from optuna import Study
from optuna.pruners import BasePruner, NopPruner
from optuna.trial import FrozenTrial

from flowersweep.errors import SweepError
from flowersweep.own.targets import PRUNERS
from flowersweep.sweep.search.build import broken_rules, build, require

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
    pruner: BasePruner = build(cfg, GROUP, PRUNERS)
    if n_directions > 1 and not isinstance(pruner, NopPruner):
        raise SweepError(
            f"{type(pruner).__name__} compares one objective, but hydra.sweeper.direction has {n_directions}; "
            f"use {GROUP}=none."
        )
    return pruner


def should_prune(study: Study, trial: FrozenTrial) -> bool:
    """Whether a trial should stop after its last reported step.

    As `optuna.Trial.should_prune`, which reads the trial again from the storage.

    Args:
        study: A study with one objective; its pruner is asked.
        trial: The trial with all its intermediate values.
    """
    return study.pruner.prune(study, trial)
