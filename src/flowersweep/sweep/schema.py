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
    """Ends a trial whose best value so far is worse than the median of the others at the same epoch.

    Attributes:
        n_startup_trials: Trials that finish before any is pruned.
        n_warmup_steps: Epochs that every trial trains before the first check, which comes directly after
            them; the first ones say little.
        interval_steps: Epochs between two checks.
        n_min_trials: Trials that must have reached an epoch for a median there.
    """

    _target_: str = "optuna.pruners.MedianPruner"
    n_startup_trials: int = bounded(5, low=0)
    n_warmup_steps: int = bounded(3, low=0)
    interval_steps: int = bounded(1, low=1)
    n_min_trials: int = bounded(3, low=1)


@dataclass
class SuccessiveHalvingPrunerConf(PrunerConf):
    """ASHA: after 3, 9, 27, 81 epochs only the best third continues. Li et al. 2018, arXiv 1810.05934.

    Attributes:
        min_resource: Epochs before the first decision.
        reduction_factor: One in this number of trials continues after a decision, for as many times more
            epochs.
        min_early_stopping_rate: Each step up multiplies the epochs before the first decision by
            reduction_factor.
        bootstrap_count: Trials that must have reached a decision before any is ended there.
    """

    _target_: str = "optuna.pruners.SuccessiveHalvingPruner"
    min_resource: int = bounded(3, low=1)
    reduction_factor: int = bounded(3, low=2)
    min_early_stopping_rate: int = bounded(0, low=0)
    bootstrap_count: int = bounded(0, low=0)


def _is_resource(value: Any) -> bool:
    return value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)


@dataclass
class HyperbandPrunerConf(PrunerConf):
    """Several ASHA with different first decisions; trials are divided among them. Li et al. 2016, arXiv 1603.06560.

    Attributes:
        min_resource: Epochs before the first decision.
        max_resource: Epochs of the longest training; auto: those of the first finished trial; until then
            nothing is pruned.
        reduction_factor: One in this number of trials continues after a decision, for as many times more
            epochs.
        bootstrap_count: Trials that must have reached a decision before any is ended there.
    """

    _target_: str = "optuna.pruners.HyperbandPruner"
    min_resource: int = bounded(3, low=1)
    max_resource: Any = field(default="auto", metadata={RULE_KEY: Rule(_is_resource, "auto, or at least 1")})
    reduction_factor: int = bounded(3, low=2)
    bootstrap_count: int = bounded(0, low=0)


@dataclass
class WilcoxonPrunerConf(PrunerConf):
    """Ends a trial whose values are worse than the best trial's by a signed-rank test, pair by pair; needs scipy.

    Its steps are repetitions of one training (seeds, folds), not epochs; use it with n_repeats.

    Attributes:
        p_threshold: A trial ends if its values would be this improbable for a trial as good as the best one.
        n_startup_steps: Values compared before the first decision.
    """

    _target_: str = "optuna.pruners.WilcoxonPruner"
    p_threshold: float = bounded(0.1, low=0, high=1)
    n_startup_steps: int = bounded(2, low=0)


@dataclass
class StudySweeperConf:
    """A sweep: what is searched, how, for how long, and what happens on failures.

    Attributes:
        direction: Either minimize or maximize; a list for several objectives; with their names, {accuracy:
            maximize}, for a program of your own that returns a dict; null: the direction of objective.metric,
            else minimize.
        storage: Any URL of an Optuna storage; null: SQLite in the folder of the results.
        study_name: Name of the study, by which a sweep is resumed; null: derived from what is searched.
        on_mismatch: When the study of that name was started with another space, direction or fixed values:
            stop, or start a new study; null: error for a named study; new for a derived name, and for a
            program that names neither objective.metric nor storage.
        join: Work on the running study of that name: one that does not exist or was stopped is refused, and
            Ctrl-C ends only this command and its workers.
        n_trials: Total number of trials, over all runs of the command; of a grid, its first points; null: the
            complete grid.
        n_jobs: Workers, each with one trial at a time.
        n_repeats: Trainings per trial, with different seeds; the objective is their mean.
        timeout: Seconds after which no further trial starts; null: no limit.
        max_failures: Number of failed trials that ends the sweep; null: no limit.
        max_failures_in_a_row: Number of consecutive failed trials that ends the sweep; null: no limit.
        max_failure_rate: Fraction of failed ones among as many trials as there are workers, the last that ended;
            a larger one ends the sweep. It replaces max_failures_in_a_row; null: no limit.
        max_retries: How often a trial is restarted when its process died.
        storage_patience: Seconds for which a running sweep waits for a storage that does not respond.
        trials_per_process: Trials after which a worker's training process is replaced: TensorFlow never frees
            some traced functions.
        tracking: Where the trials of a program of your own are recorded: mlflow or none; null: in MLflow if
            MLFLOW_TRACKING_URI is set.
        params: What is searched, by key, in Hydra's grammar; the command line has precedence.
        search_space: The same as the Optuna sweeper spelled it before version 1.2.
        custom_search_space: The function, as package.module.function, that suggests further values of each trial, as
            with the Optuna sweeper; null: none.
        conditions: Keys that are searched only with certain values of others: {model.fine_tune_at: {model:
            mobilenet_ft}}.
        enqueue: Enqueued trials, which run first: [{model: cnn, optimizer.learning_rate: 0.001}].
    """

    _target_: str = "hydra_plugins.flowersweep_study.study_sweeper.StudySweeper"
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "auto"}, {"pruner": "none"}])

    sampler: Any = MISSING
    pruner: Any = MISSING
    direction: Any = None

    storage: str | None = None
    study_name: str | None = None
    on_mismatch: str | None = one_of("error", "new", default=None)
    join: bool = False

    n_trials: int | None = bounded(None, low=1)
    n_jobs: int = bounded(1, low=1)
    n_repeats: int = bounded(1, low=1)
    timeout: float | None = bounded(None, above=0)
    max_failures: int | None = bounded(None, low=1)
    max_failures_in_a_row: int | None = bounded(5, low=1)
    max_failure_rate: float | None = bounded(None, low=0, high=1)
    max_retries: int = bounded(1, low=0)
    storage_patience: float = bounded(3600.0, low=0)
    trials_per_process: int = bounded(32, low=1)

    tracking: str | None = one_of("mlflow", "none", default=None)

    params: dict[str, Any] | None = field(default_factory=dict)
    search_space: dict[str, Any] | None = None
    custom_search_space: str | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    enqueue: list[Any] = field(default_factory=list)


PRUNERS = {
    "none": NoPrunerConf,
    "median": MedianPrunerConf,
    "asha": SuccessiveHalvingPrunerConf,
    "hyperband": HyperbandPrunerConf,
    "wilcoxon": WilcoxonPrunerConf,
}
