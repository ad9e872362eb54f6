"""The objective of a trial: one training, or several with different seeds, with a run below the study's run."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from flowersweep.config import Config
from flowersweep.fields import maximized
from flowersweep.sweep.study.attributes import (
    ALL_OBJECTIVES,
    EPOCHS,
    N_STEPS,
    N_VALIDATION,
    REPEATS,
    RUN_ID,
    SEEDS,
)
from flowersweep.sweep.study.trial_name import trial_name
from flowersweep.sweep.workers.recorder import searched_numbers, tags_of
from flowersweep.sweep.workers.trial import RunningTrial
from flowersweep.texts import number_text
from flowersweep.tracking.closing import closed_on_failure, closing
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import is_interrupted, runs_like, silent_runs, supersede
from flowersweep.tracking.run import NOTE, RunStatus
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.tracking.store.summary import N_SEEDS, rounded, summary
from flowersweep.training import Result, RunContext, train
from flowersweep.training.checkpoint.start import ENDED
from flowersweep.training.run import failures_recorded

Values = dict[str, float]


def run_trial(
    configs: Sequence[Config], overrides: Sequence[str], trial: RunningTrial
) -> float | list[float]:
    """Train a trial's configurations and return its objective.

    Args:
        configs: One, or one for each repeat, which differ in their seed and values that refer to it; the objective
            is then the mean.
        overrides: The trial's overrides, to be logged.
        trial: Gets a report per epoch, or, with repeats, one per repeat.

    Returns:
        The value of `objective.metric`; with `objective.also` a list, that value first.

    Raises:
        Pruned: The study stops this trial.
    """
    config = configs[0]
    store = prepare_store(Path(config.tracking.dir), config.tracking.uri, known_to_work=True)
    with _epochs_counted(trial) as count:
        values = (
            _once(config, overrides, trial, count)
            if len(configs) == 1
            else _repeated(configs, overrides, trial, store, count)
        )
    return list(values.values()) if config.objective.also else values[config.objective.metric]


@contextmanager
def _epochs_counted(trial: RunningTrial) -> Iterator[Callable[[], None]]:
    """Store how many epochs a trial has trained when the block ends, also if the trial was pruned or failed."""
    n_epochs = 0

    def count() -> None:
        nonlocal n_epochs
        n_epochs += 1

    try:
        yield count
    except Exception:
        trial.user_attrs({EPOCHS: n_epochs})
        raise
    trial.user_attrs({EPOCHS: n_epochs})


def _once(
    config: Config,
    overrides: Sequence[str],
    trial: RunningTrial,
    count: Callable[[], None],
) -> Values:
    monitor = config.objective.metric.rpartition("/")[2]

    def started(run_id: str) -> None:
        trial.user_attrs({RUN_ID: run_id, N_STEPS: config.trainer.epochs})

    def report(number: int, values: Mapping[str, float]) -> None:
        trial.report(number, values[monitor])

    context = RunContext(
        run_name=trial_name(trial),
        parent_run_id=trial.parent_run_id,
        tags=tags_of(trial),
        metrics=searched_numbers(trial.params),
        command=trial.command,
        on_start=started,
        on_epoch=report,
        on_any_epoch=count,
        # A worker may have died before it could tell the study.
        begun_before=trial.attempt > 0,
        keeps_artifacts=lambda value: config.tracking.artifacts_of == "all" or trial.leads(value),
    )
    result = _train(config, overrides, trial, context)
    trial.user_attrs({SEEDS: [config.seed], N_VALIDATION: result.n_validation})
    return _values(config, result)


def _repeated(
    configs: Sequence[Config],
    overrides: Sequence[str],
    trial: RunningTrial,
    store: Store,
    count: Callable[[], None],
) -> Values:
    """One run for the trial, with mean and spread, and one below it for each seed."""
    config, n_repeats = configs[0], len(configs)
    tags = {**tags_of(trial), "n_repeats": n_repeats, "objective": config.objective.metric}
    tracker, known = _started_or_resumed(config, trial, store, tags)
    repeats: list[Values] = []
    metrics: list[Values] = []
    sizes: set[int] = set()
    with closing(tracker, wait=0), failures_recorded(tracker, again=True):
        trial.user_attrs({RUN_ID: tracker.run_id, N_STEPS: n_repeats})
        if not known:
            tracker.metrics(searched_numbers(trial.params))
        for repeat, seeded in enumerate(configs):
            context = replace(_seeded(trial, tracker.run_id, repeat, seeded), on_any_epoch=count)
            its = [*overrides, *own_fold(seeded, overrides)]
            result = _train(seeded, its, trial, context)
            metrics.append(result.metrics)
            sizes.add(result.n_validation)
            repeats.append(_values(config, result))
            if repeat == 0:
                _record_params(tracker, configs, overrides)
            values = [one[config.objective.metric] for one in repeats]
            # MLflow compares runs by the last value of a metric, which is the one over all seeds.
            if repeat + 1 not in known:
                tracker.metrics(summary(values, maximize=maximized(config.objective.metric)), step=repeat + 1)
            trial.report(repeat + 1, values[-1])
        spread = statistics.stdev(values)
        means = {name: statistics.mean(one[name] for one in repeats) for name in repeats[0]}
        others = {name: rounded(statistics.mean(one[name] for one in metrics)) for name in metrics[0]}
        tracker.metrics({**others, **means, "spread/min": min(values), "spread/max": max(values)})
        tracker.tags({NOTE: _description(config, values)})
        trial.user_attrs({REPEATS: values, "standard_deviation": spread})
        if config.objective.also:
            trial.user_attrs({ALL_OBJECTIVES: [list(one.values()) for one in repeats]})
        trial.user_attrs({SEEDS: [one.seed for one in configs]})
        if len(sizes) == 1:
            trial.user_attrs({N_VALIDATION: sizes.pop()})
    return means


def _started_or_resumed(
    config: Config, trial: RunningTrial, store: Store, tags: Mapping[str, object]
) -> tuple[MLflowTracker, set[int]]:
    """The run of a trial with repeats: a new one, or that of an earlier attempt, with the repeats it has recorded.

    A new one also if the machine of the earlier attempt gave no sign of life, because it may come back; the run of this attempt
    gets the repeats that have finished there.
    """
    parent = trial.parent_run_id
    wanted = {name: tags[name] for name in ("study", "kind", "trial", "n_repeats")}
    found = runs_like(store, wanted, parent) if parent is not None else []
    # One that has finished is that of a worker that died before it could tell the study.
    ended = [run for run in found if run.info.status == RunStatus.FINISHED.value or is_interrupted(run)]
    known: set[int] = set()
    resumes = config.tracking.resume == "auto"
    if is_resumed := bool(ended and resumes):
        tracker = MLflowTracker.resume(store, ended[0].info.run_id, without=ENDED)
    else:
        name, experiment = trial_name(trial), config.tracking.experiment
        tracker = MLflowTracker.start(store, experiment, name, parent_run_id=parent, tags=tags)
    with closed_on_failure(tracker):
        if is_resumed:
            tracker.tags(tags)
            known = tracker.steps(N_SEEDS)
        for run in silent_runs(found):
            supersede(store, run, tracker.run_id, moves=resumes)
    return tracker, known


def own_fold(config: Config, overrides: Sequence[str]) -> list[str]:
    """The override without which a repeat could not be trained alone: its fold, unless it was given to all."""
    given = any(override.lstrip("+").startswith("data.fold=") for override in overrides)
    return [] if config.data.folds is None or given else [f"data.fold={config.data.fold}"]


def _train(config: Config, overrides: Sequence[str], trial: RunningTrial, context: RunContext) -> Result:
    """Train with the content that the sweep started with; fail if it has changed."""
    if trial.content is not None:
        config = trial.content.held(config)
        context = replace(context, fingerprint=trial.content.fingerprint(config))
    return train(config, overrides=overrides, context=context)


def _description(config: Config, values: Sequence[float]) -> str:
    return (
        f"**{config.objective.metric} {number_text(statistics.mean(values))}**, mean over {len(values)} seeds "
        f"({number_text(min(values))} to {number_text(max(values))}, standard deviation {number_text(statistics.stdev(values))})\n\n"
        f"{config.model.name}, {config.aug.name}, {config.optimizer.name} at {config.optimizer.learning_rate:.3g}; "
        "the runs of the seeds are below this one\n"
    )


def _seeded(trial: RunningTrial, parent: str, repeat: int, config: Config) -> RunContext:
    return RunContext(
        run_name=f"{trial_name(trial)} seed={config.seed}",
        parent_run_id=parent,
        tags={**tags_of(trial), "kind": "repeat", "repeat": repeat},
        command=trial.command,
        begun_before=True,
        keeps_artifacts=lambda value: config.tracking.artifacts_of == "all" or trial.leads(value),
    )


def _values(config: Config, result: Result) -> Values:
    """The objectives of a run, in order; MLflow, which may be away, is not asked."""
    return {name: result.metrics[name] for name in (config.objective.metric, *config.objective.also)}


def _record_params(tracker: MLflowTracker, configs: Sequence[Config], overrides: Sequence[str]) -> None:
    """Log the params that all repeats share; after the first repeat, because only a run may import Keras."""
    from flowersweep.training.logs.record import parameters

    first, *others = (parameters(config, overrides) for config in configs)
    tracker.params(
        {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
    )
