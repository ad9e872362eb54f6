"""The trials of a study, ranked as in its report."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from flowersweep.ranking.effects import Sample
from flowersweep.ranking.standings import PARETO, SEED, configuration_key, fronts, standings
from flowersweep.sweep.study.attributes import (
    ALL_OBJECTIVES,
    EPOCHS,
    FAIL_REASON,
    N_VALIDATION,
    REPEATS,
    RUN_ID,
    SEEDS,
    TAKEN_FROM,
)
from flowersweep.sweep.study.study import metric_names


@dataclass(frozen=True)
class Row:
    """A finished trial.

    Attributes:
        rank: From 1 among complete trials, equal for trials that cannot be distinguished; with several objectives 1 for
            the Pareto set and 2 for the others; None for pruned and failed ones.
        trial: Its number.
        state: COMPLETE, PRUNED or FAIL.
        values: The objectives, means if it was repeated; for a pruned trial, the last one it reported; empty for a
            failed one.
        epochs: Number of trained epochs of all phases and repeats; None if it was not recorded.
        steps: The last step that it reported, whatever the program counts; 0 for none.
        seconds: From start to end.
        params: The searched values.
        run_id: The id of its MLflow run, if it has one.
        reason: Why it failed; empty otherwise.
        taken_from: The trial with the same values whose result it has, if it was not trained itself; None for the
            others.
        n_seeds: Number of seeds with which its configuration was trained, by this trial and others.
        mean: The mean of the first objective over these seeds; None for a trial without a rank.
        standard_deviation: Of the same values; None for a single seed.
    """

    rank: int | None
    trial: int
    state: str
    values: tuple[float, ...]
    epochs: int | None
    steps: int
    seconds: float | None
    params: dict[str, Any]
    run_id: str | None
    reason: str
    taken_from: int | None = None
    n_seeds: int = 0
    mean: float | None = None
    standard_deviation: float | None = None


@dataclass(frozen=True)
class Leaderboard:
    """The finished trials of a study.

    Attributes:
        rows: Complete trials by rank, then by value; then pruned and failed ones by number.
        best: The trial with the best value, the first of equal ones; with several objectives the Pareto set.
        note: What equal ranks mean; empty if there is nothing to compare.
        untested: Whether some trials share a rank because they could not be compared.
    """

    rows: list[Row]
    best: list[Row]
    note: str
    untested: bool = False


def leaderboard(study: Study) -> Leaderboard:
    """The trials of a study, ranked by the rules of its report."""
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    samples = _samples(complete)
    ranks, note, untested = _ranks(study, complete, samples)
    ranked = [
        _row(trial, rank, samples[key])
        for trial, rank, key in zip(complete, ranks, _keys(complete), strict=True)
    ]
    sign = -1 if study.directions[0] is StudyDirection.MAXIMIZE else 1
    by_value = sorted(ranked, key=lambda row: (sign * row.values[0], row.taken_from is not None, row.trial))
    rows = sorted(by_value, key=lambda row: row.rank or 0)
    best = [row for row in rows if row.rank == 1] if len(study.directions) > 1 else by_value[:1]
    others = [trial for trial in trials if trial.state in {TrialState.PRUNED, TrialState.FAIL}]
    return Leaderboard([*rows, *map(as_row, others)], best, note, untested)


def as_row(trial: FrozenTrial) -> Row:
    """A trial without a rank."""
    return _row(trial, None, {})


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as values for JSON."""
    return [asdict(row) for row in rows]


def _keys(complete: Sequence[FrozenTrial]) -> list[str]:
    """What is equal for trials of the same configuration; a copied result belongs to that of its original."""
    params = {trial.number: trial.params for trial in complete}
    sources = (trial.user_attrs.get(TAKEN_FROM, trial.number) for trial in complete)
    return [
        configuration_key(params.get(source, trial.params))
        for source, trial in zip(sources, complete, strict=True)
    ]


def _trained(complete: Sequence[FrozenTrial]) -> Iterator[tuple[str, FrozenTrial, list[int]]]:
    """The configuration, the trial and the seeds of each result, without the copied ones."""
    given_seeds = [trial.params.get(SEED, 0) for trial in complete]
    # Seeds that are not all integers, such as null or 0.5, are numbered, and none of them stands for another one.
    are_numbers = all(type(seed) is int for seed in given_seeds)
    texts = sorted({repr(seed) for seed in given_seeds})
    for trial, key, given in zip(complete, _keys(complete), given_seeds, strict=True):
        if TAKEN_FROM in trial.user_attrs:
            continue
        first = given if are_numbers else texts.index(repr(given))
        # Trials of other programs, and of earlier versions, do not record their seeds.
        n_values = len(trial.user_attrs.get(REPEATS) or trial.values[:1])
        seeds = trial.user_attrs.get(SEEDS) or range(first, first + n_values)
        yield key, trial, list(map(int, seeds))


def _samples(complete: Sequence[FrozenTrial]) -> dict[str, Sample]:
    """The values of the first objective by seed, for each configuration in the order of the trials' numbers."""
    found: dict[str, dict[int, float]] = {}
    for key, trial, seeds in _trained(complete):
        values = trial.user_attrs.get(REPEATS) or trial.values[:1]
        sample = found.setdefault(key, {})
        for seed, value in zip(seeds, values, strict=True):
            sample.setdefault(seed, float(value))
    return dict(found)


def _points(complete: Sequence[FrozenTrial]) -> dict[str, dict[int, Sequence[float]]]:
    """The values of all objectives by seed, for each configuration in the order of the trials' numbers."""
    found: dict[str, dict[int, Sequence[float]]] = {}
    for key, trial, seeds in _trained(complete):
        # A trial of an earlier version has only the means of its repeats.
        points = trial.user_attrs.get(ALL_OBJECTIVES) or [trial.values] * len(seeds)
        for seed, point in zip(seeds, points, strict=True):
            found.setdefault(key, {}).setdefault(seed, point)
    return found


def _ranks(
    study: Study, complete: Sequence[FrozenTrial], samples: Mapping[str, Sample]
) -> tuple[list[int], str, bool]:
    maximize = [direction is StudyDirection.MAXIMIZE for direction in study.directions]
    if len(maximize) > 1:
        points = _points(complete)
        places = dict(zip(points, fronts(list(points.values()), maximize), strict=True))
        return [places[key] for key in _keys(complete)], PARETO if complete else "", False
    sizes = {trial.user_attrs.get(N_VALIDATION) for trial in complete if TAKEN_FROM not in trial.user_attrs}
    found = standings(
        list(samples.values()),
        metric=metric_names(study)[0],
        maximize=maximize[0],
        n_pictures=sizes.pop() if len(sizes) == 1 else None,
    )
    ranks = dict(zip(samples, found.ranks, strict=True))
    return [ranks[key] for key in _keys(complete)], found.note, found.untested


def _row(trial: FrozenTrial, rank: int | None, sample: Sample) -> Row:
    values = list(sample.values())
    return Row(
        rank=rank,
        trial=trial.number,
        state=trial.state.name,
        values=tuple(trial.values or ()),
        epochs=trial.user_attrs.get(EPOCHS),
        steps=trial.last_step or 0,
        seconds=trial.duration.total_seconds() if trial.duration else None,
        params=dict(trial.params),
        run_id=trial.user_attrs.get(RUN_ID),
        reason=str(trial.user_attrs.get(FAIL_REASON, "")),
        taken_from=trial.user_attrs.get(TAKEN_FROM),
        n_seeds=len(values),
        mean=statistics.mean(values) if values else None,
        standard_deviation=statistics.stdev(values) if len(values) > 1 else None,
    )
