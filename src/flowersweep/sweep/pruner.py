"""The pruner of a sweep, from its node of the configuration."""

from omegaconf import DictConfig
from optuna import Study
from optuna.pruners import BasePruner, NopPruner

from flowersweep.errors import SweepError
from flowersweep.sweep.build import broken_rules, build, require
from flowersweep.sweep.trial import RUN_ID

GROUP = "hydra/sweeper/pruner"


def make_pruner(cfg: DictConfig, *, n_directions: int = 1) -> BasePruner:
    """The pruner that `hydra.sweeper.pruner` describes.

    Args:
        cfg: The node, with a `_target_` in `optuna.pruners`; it may nest others, as PatientPruner does.
        n_directions: How many objectives the study has; Optuna prunes with one only.

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


def refuse_other_steps(study: Study, pruner: BasePruner) -> None:
    """Make sure that a pruner compares equal epochs: earlier versions counted them from 0, and a head's among them.

    Trials of other programs, which count as they like, have no run of flowersweep's.

    Raises:
        SweepError: The study has such a trial, and the pruner compares.
    """
    if isinstance(pruner, NopPruner):
        return
    for trial in study.get_trials(deepcopy=False):
        if RUN_ID in trial.user_attrs and 0 in trial.intermediate_values:
            raise SweepError(
                f"Trial {trial.number} of study {study.study_name!r} was run by an earlier version, which counted epochs "
                f"from 0, so that a pruner would compare different epochs; set {GROUP}=none, or give this sweep its "
                "own hydra.sweeper.study_name=NAME."
            )
