"""What a trial does: one training, or several with different seeds, tied to the study's run."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from flowersweep.config import Config
from flowersweep.sweep.trial import RUN_ID, RunningTrial
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.protocol import closing
from flowersweep.tracking.store import prepare_store
from flowersweep.training import Membership, train


def run_trial(config: Config, overrides: Sequence[str], trial: RunningTrial, *, n_repeats: int = 1) -> float:
    """Train a trial's configuration and return its objective.

    Args:
        config: The trial's configuration.
        overrides: Of the trial, for the record.
        trial: Gets a report per epoch, or, with repeats, one per repeat.
        n_repeats: How often to train, with the seeds `seed`, `seed + 1`, ...; the objective is their mean.

    Raises:
        Pruned: The study wants no more of this trial.
    """
    if n_repeats > 1:
        return _repeated(config, overrides, trial, n_repeats)
    monitor = config.objective.metric.rpartition("/")[2]

    def report(number: int, values: Mapping[str, float]) -> None:
        trial.report(number - 1, values[monitor])

    member = Membership(
        run_name=name_of(trial),
        parent_run_id=trial.parent_run_id,
        tags=tags_of(trial),
        on_start=lambda run_id: trial.user_attrs({RUN_ID: run_id}),
        on_epoch=report,
    )
    return train(config, overrides=overrides, member=member).objective


def name_of(trial: RunningTrial) -> str:
    """What a trial's run is called: its number, as the study and Hydra count."""
    return f"trial-{trial.number:04d}"


def tags_of(trial: RunningTrial) -> dict[str, object]:
    """By which a trial's runs are found: the study, the number, and each searched value."""
    searched = {
        f"param.{name.replace('+', '').replace('@', '_')}": value for name, value in trial.params.items()
    }
    return {
        "study": trial.study_name,
        "kind": "trial",
        "trial": trial.number,
        "attempt": trial.attempt,
        **searched,
    }


def _repeated(config: Config, overrides: Sequence[str], trial: RunningTrial, n_repeats: int) -> float:
    """One run for the trial, which holds mean and spread, and one below it for each seed."""
    store = prepare_store(Path(config.tracking.dir), config.tracking.uri)
    tracker = MLflowTracker.start(
        store,
        config.tracking.experiment,
        name_of(trial),
        parent_run_id=trial.parent_run_id,
        tags={**tags_of(trial), "n_repeats": n_repeats},
    )
    trial.user_attrs({RUN_ID: tracker.run_id})
    values: list[float] = []
    with closing(tracker):
        for repeat in range(n_repeats):
            seeded = replace(config, seed=config.seed + repeat)
            member = Membership(
                run_name=f"{name_of(trial)}-seed{seeded.seed}",
                parent_run_id=tracker.run_id,
                tags={**tags_of(trial), "kind": "repeat", "repeat": repeat},
            )
            values.append(train(seeded, overrides=overrides, member=member).objective)
            tracker.metrics({"repeat/value": values[-1]}, step=repeat)
            trial.report(repeat, values[-1])
        mean, spread = statistics.mean(values), statistics.stdev(values)
        tracker.metrics({config.objective.metric: mean, "spread/standard_deviation": spread})
        tracker.metrics({"spread/min": min(values), "spread/max": max(values)})
        trial.user_attrs({"repeats": values, "standard_deviation": spread})
    return mean
