"""The configuration of `hydra/sweeper: study`. Hydra imports this at every start, so it imports no Optuna.

Samplers are those of hydra-optuna-sweeper, in the group `hydra/sweeper/sampler`, and `auto`; pruners are here, in
`hydra/sweeper/pruner`. A trial reports its objective after each epoch of its last phase, counted from 1, so the steps
of a pruner are trained epochs, without those of a head; with n_repeats they are trainings. The defaults are meant for
trainings of 10 to 100 epochs.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from flowersweep.fields import RULE_KEY, Rule, bounded, one_of
from hydra_plugins.hydra_optuna_sweeper.config import TPESamplerConfig


@dataclass
class AutoSamplerConf(TPESamplerConfig):
    """The grid if every key has a list of values; TPE otherwise, and if one of its options is set."""


@dataclass
class PrunerConf:
    """Stops unpromising trials early."""

    _target_: str = MISSING


@dataclass
class NoPrunerConf(PrunerConf):
    """Every trial trains to its end."""

    _target_: str = "optuna.pruners.NopPruner"


@dataclass
class MedianPrunerConf(PrunerConf):
    """Ends a trial whose best value so far is worse than the median of the others at the same epoch."""

    _target_: str = "optuna.pruners.MedianPruner"
    # Trials that finish before any is pruned.
    n_startup_trials: int = bounded(5, low=0)
    # Epochs that every trial trains before the first check, which comes directly after them; the first ones say little.
    n_warmup_steps: int = bounded(3, low=0)
    # Epochs between two checks.
    interval_steps: int = bounded(1, low=1)
    # Trials that must have reached an epoch for a median there.
    n_min_trials: int = bounded(3, low=1)


@dataclass
class SuccessiveHalvingPrunerConf(PrunerConf):
    """ASHA: after 3, 9, 27, 81 epochs only the best third continues. Li et al. 2018, arXiv 1810.05934."""

    _target_: str = "optuna.pruners.SuccessiveHalvingPruner"
    min_resource: int = bounded(3, low=1)
    reduction_factor: int = bounded(3, low=2)
    # Each step up multiplies the epochs before the first decision by reduction_factor.
    min_early_stopping_rate: int = bounded(0, low=0)
    # Trials that must have reached a decision before any is ended there.
    bootstrap_count: int = bounded(0, low=0)


def _is_resource(value: Any) -> bool:
    return value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)


@dataclass
class HyperbandPrunerConf(PrunerConf):
    """Several ASHA with different first decisions; trials are divided among them. Li et al. 2016, arXiv 1603.06560."""

    _target_: str = "optuna.pruners.HyperbandPruner"
    min_resource: int = bounded(3, low=1)
    # Epochs of the longest training; auto: those of the first finished trial; until then nothing is pruned.
    max_resource: Any = field(default="auto", metadata={RULE_KEY: Rule(_is_resource, "auto, or at least 1")})
    reduction_factor: int = bounded(3, low=2)
    bootstrap_count: int = bounded(0, low=0)


@dataclass
class WilcoxonPrunerConf(PrunerConf):
    """Ends a trial whose values are worse than the best trial's by a signed-rank test, pair by pair; needs scipy.

    Its steps are repetitions of one training (seeds, folds), not epochs; use it with n_repeats.
    """

    _target_: str = "optuna.pruners.WilcoxonPruner"
    p_threshold: float = bounded(0.1, low=0, high=1)
    # Values compared before the first decision.
    n_startup_steps: int = bounded(2, low=0)


@dataclass
class StudySweeperConf:
    """A sweep: what is searched, how, for how long, and what happens on failures."""

    _target_: str = "hydra_plugins.flowersweep_study.study_sweeper.StudySweeper"
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "auto"}, {"pruner": "none"}])

    sampler: Any = MISSING
    pruner: Any = MISSING
    # minimize or maximize; a list for several objectives; null: the direction of objective.metric, else maximize.
    direction: Any = None

    # Any URL of an Optuna storage; null: SQLite in the folder of the results.
    storage: str | None = None
    study_name: str | None = None
    # When the study of that name was started with another space, direction or fixed values: stop, or start a new study.
    on_mismatch: str = one_of("error", "new", default="error")

    # Total number of trials, over all runs of the command; of a grid, its first points; null: the complete grid.
    n_trials: int | None = bounded(None, low=1)
    # Workers, each with one trial at a time.
    n_jobs: int = bounded(1, low=1)
    # Trainings per trial, with different seeds; the objective is their mean.
    n_repeats: int = bounded(1, low=1)
    # Seconds after which no further trial starts; null: no limit.
    timeout: float | None = bounded(None, above=0)
    # Number of failed trials, in total and in a row, that ends the sweep; null: no limit.
    max_failures: int | None = bounded(None, low=1)
    max_failures_in_a_row: int | None = bounded(5, low=1)
    # How often a trial is restarted when its process died.
    max_retries: int = bounded(1, low=0)
    # Trials after which a worker's training process is replaced: TensorFlow never frees some traced functions.
    trials_per_process: int = bounded(32, low=1)

    # What is searched, by key, in Hydra's grammar; the command line has precedence.
    params: dict[str, Any] = field(default_factory=dict)
    # Keys that are searched only with certain values of others: {model.fine_tune_at: {model: mobilenet_ft}}.
    conditions: dict[str, Any] = field(default_factory=dict)
    # Enqueued trials, which run first: [{model: cnn, optimizer.learning_rate: 0.001}].
    enqueue: list[Any] = field(default_factory=list)


PRUNERS = {
    "none": NoPrunerConf,
    "median": MedianPrunerConf,
    "asha": SuccessiveHalvingPrunerConf,
    "hyperband": HyperbandPrunerConf,
    "wilcoxon": WilcoxonPrunerConf,
}
