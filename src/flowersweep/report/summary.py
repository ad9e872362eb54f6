"""What a study says in plain sentences, and what it does not say."""

import math
import statistics
from collections.abc import Sequence

from flowersweep.report.evidence import SEED, Study
from flowersweep.report.leading_run import LeadingRun
from flowersweep.report.missing import lost_trials, unfinished_trials
from flowersweep.report.statistics.comparison import ALPHA, MIN_SEEDS, differences
from flowersweep.report.statistics.ranking import TEST_METRIC, Row, shown
from flowersweep.report.wording import listed


def summary(study: Study, rows: Sequence[Row], leading: LeadingRun | None) -> list[str]:
    """The sentences at the top of the page, in their order.

    Args:
        study: What was read.
        rows: Its ranking.
        leading: The leading run; None if nothing was trained to its end.
    """
    if not rows or leading is None:
        return [
            *(
                lost_trials(study, rows)
                or [f"No trial has come to a value of {study.goal.metric} yet, so there is nothing to rank."]
            ),
            *unfinished_trials(study),
        ]
    told = (
        [_leader(study, rows), *_other_seeds(study, rows), *_apart(study, rows)]
        if len(study.goals) == 1
        else _trade_offs(study, rows)
    )
    return [
        *lost_trials(study, rows),
        *told,
        *_chosen_by(study, rows, leading),
        *_published(study, rows),
        *unfinished_trials(study),
    ]


def _leader(study: Study, rows: Sequence[Row]) -> str:
    leader, metric = rows[0].configuration, study.goal.metric
    values = list(leader.sample(metric).values())
    if len(values) == 1:
        seed = leader.trainings[0].seed
        spread = f"{metric} {shown(values[0])} in one run (seed {seed}), so its spread is not known"
    else:
        spread = (
            f"{metric} {shown(statistics.mean(values))} on average over {len(values)} seeds, standard deviation "
            f"{shown(statistics.stdev(values))}, from {shown(min(values))} to {shown(max(values))}"
        )
    return f"The best value is that of {leader.full_name}: {spread}."


def _apart(study: Study, rows: Sequence[Row]) -> list[str]:
    """Who can and who cannot be distinguished from the leader."""
    leader = rows[0].configuration
    if len(rows) == 1:
        return [
            f"{leader.name} is the only configuration with a value, so there is nothing to compare it with."
        ]
    compared = [(row.configuration, row.comparison) for row in rows[1:] if row.comparison is not None]
    untested = [one.name for one, found in compared if found.p is None]
    if len(untested) == len(compared):
        return [_untested(study, rows)]
    alike = [one.name for one, found in compared if found.p is not None and not found.apart]
    worse = [(one.name, found) for one, found in compared if found.apart]
    n_seeds = sorted({found.n_seeds for _, found in compared if found.p is not None})
    seeds = str(n_seeds[0]) if len(n_seeds) == 1 else f"{n_seeds[0]} to {n_seeds[-1]}"
    test = f"Tukey's range test and paired t-tests over {seeds} common seeds, limit {ALPHA}"
    sentences = []
    if alike:
        sentences.append(
            f"{listed([leader.name, *alike])} cannot be distinguished on this evidence ({test}). That does not make "
            "them equal: a study of its own with more seeds, hydra.sweeper.n_repeats=5 for instance, may find differences."
        )
    if worse:
        highest = max(1, *(math.ceil((found.p or 0.0) * 10_000) for _, found in worse)) / 10_000
        verb = "is" if len(worse) == 1 else "are"
        because = f"p at most {highest:.4f}" if alike else f"{test}; p at most {highest:.4f}"
        sentences.append(
            f"{listed([name for name, _ in worse])} {verb} worse than {leader.name} ({because})."
        )
    if untested:
        sentences.append(
            f"{listed(untested)} shared fewer than {MIN_SEEDS} seeds with {leader.name} and could not be compared."
        )
    return sentences


def _untested(study: Study, rows: Sequence[Row]) -> str:
    """Why the leader could be compared with none, and how to compare them."""
    samples = [row.configuration.sample(study.goal.metric) for row in rows]
    pairs = ((one, other) for place, one in enumerate(samples) for other in samples[:place])
    if any(len(differences(one, other)) >= MIN_SEEDS for one, other in pairs):
        why = (
            f"{rows[0].configuration.name} shares fewer than {MIN_SEEDS} seeds with every other configuration and cannot be "
            "compared with any, so they are not ranked here"
        )
    else:
        noise = "one run each ranks" if all(len(one) == 1 for one in samples) else "other seeds for each rank"
        why = (
            f"No two configurations share {MIN_SEEDS} seeds, so they are not ranked here: {noise} noise as much as "
            "configurations"
        )
    unsearched = " without searching seed" if any(SEED in trial.params for trial in study.trials) else ""
    return (
        f"{why}, and the order below is merely that of the values. To learn which can be distinguished, sweep again"
        f"{unsearched} with hydra.sweeper.n_repeats=3 (and its own hydra.sweeper.study_name=NAME); every trial then trains "
        "with the same three seeds."
    )


def _other_seeds(study: Study, rows: Sequence[Row]) -> list[str]:
    """Configurations whose mean is better than the leader's, but by seeds that others were not trained with."""
    sign, metric, leader = study.goal.sign(), study.goal.metric, rows[0].configuration
    seeds = leader.sample(metric).keys()
    better = [
        one.name
        for one in (row.configuration for row in rows[1:])
        if one.sample(metric).keys() != seeds and sign * one.mean(metric) < sign * leader.mean(metric)
    ]
    if not better:
        return []
    has = "has a better mean" if len(better) == 1 else "have better means"
    told = (
        f"{listed(better)} {has} than {leader.name}, but over other seeds: what a seed is worth to all configurations "
        "that share it is taken off before they are put in order."
    )
    return [told]


def _trade_offs(study: Study, rows: Sequence[Row]) -> list[str]:
    goals = " and ".join(goal.words for goal in study.goals)
    front = [row.configuration for row in rows if row.in_front]
    one = (
        "is the only configuration" if len(front) == 1 else f"are {len(front)} of {len(rows)} configurations"
    )
    best = (
        f"The study was to {goals}, so there is no single best one. {listed([item.name for item in front])} {one} that "
        "no other beats in every goal (the Pareto set)."
    )
    n_seeds = max(len(row.configuration.trainings) for row in rows)
    evidence = "one run each" if n_seeds == 1 else f"means over up to {n_seeds} seeds"
    return [best, f"These are {evidence}; whether the differences are more than noise was not tested."]


def _chosen_by(study: Study, rows: Sequence[Row], leading: LeadingRun) -> list[str]:
    """Which pictures chose, and which were only looked at."""
    trainings = (one for row in rows for one in row.configuration.trainings)
    sizes = sorted({one.n_validation for one in trainings if one.n_validation is not None})
    n_pictures = sizes[0] if len(sizes) == 1 else None
    validation = "The validation set" if n_pictures is None else f"The validation set ({n_pictures} pictures)"
    if len(sizes) > 1:
        validation = f"Validation sets of {listed([str(size) for size in sizes])} pictures"
    best = "the best configuration" if len(study.goals) == 1 else "the Pareto set"
    chose = f"{validation} chose the best epoch of every run and {best}"
    test = rows[0].number(TEST_METRIC, "mean")
    if test is not None:
        held_out = f" ({leading.n_test} pictures)" if leading.n_test else ""
        told = (
            f"{chose}; its figure is optimistic. The test set{held_out} took no part in any choice and was only "
            f"reported: accuracy {test.text} for {rows[0].configuration.name}."
        )
    else:
        one = f" One picture is {1 / n_pictures:.4f} of its accuracy." if n_pictures else ""
        told = (
            f"{chose}. The same pictures give the figures reported here, so the best of them is optimistic: expect "
            f"somewhat worse ones on new pictures (data.test_split=0.1 holds some out on which nothing is chosen).{one}"
        )
    return [told]


def _published(study: Study, rows: Sequence[Row]) -> list[str]:
    figure = rows[0].published
    if figure is None or not figure.values:
        return []
    mean, high, low = rows[0].configuration.mean(study.goal.metric), max(figure.values), min(figure.values)
    gap = (
        f"{mean - high:.4f} higher"
        if mean > high
        else f"{low - mean:.4f} lower"
        if mean < low
        else "the same, or between these"
    )
    return [
        f"The published article reports {figure.words} for this kind of network; the figure here is {gap}."
    ]
