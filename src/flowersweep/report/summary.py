"""The summary of a study in plain sentences."""

import math
import statistics
from collections.abc import Sequence

from flowersweep.ranking.effects import differences
from flowersweep.ranking.significance import ALPHA, MIN_SEEDS
from flowersweep.ranking.standings import SEED
from flowersweep.report.evidence import Study
from flowersweep.report.leading_run import LeadingRun
from flowersweep.report.missing import lost_trials, unfinished_trials
from flowersweep.report.statistics.ranking import TEST_METRIC, Row
from flowersweep.report.wording import listed
from flowersweep.texts import number_text


def summary(study: Study, rows: Sequence[Row], leading: LeadingRun | None) -> list[str]:
    """The sentences at the top of the page, in their order.

    Args:
        study: The study.
        rows: Its ranking.
        leading: The leading run; None if no training was completed.
    """
    if not rows or leading is None:
        return [
            *(
                lost_trials(study, rows)
                or [f"No trial has a value of {study.goal.metric} yet, so there is nothing to rank."]
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
        seed = "" if study.program else f" (seed {leader.trainings[0].seed})"
        spread = f"{metric} {number_text(values[0])} in one run{seed}, so its spread is unknown"
    else:
        spread = (
            f"{metric} {number_text(statistics.mean(values))} on average over {len(values)} seeds, standard deviation "
            f"{number_text(statistics.stdev(values))}, from {number_text(min(values))} to {number_text(max(values))}"
        )
    return f"{leader.full_name} has the best value: {spread}."


def _apart(study: Study, rows: Sequence[Row]) -> list[str]:
    """Sentences about the comparisons with the leader."""
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
    example = "" if study.program else ", for example hydra.sweeper.n_repeats=5,"
    if alike:
        sentences.append(
            f"{listed([leader.name, *alike])} are statistically indistinguishable ({test}). They are not necessarily "
            f"equal: a separate study with more seeds{example} may find differences."
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
    """Why the leader could not be compared with any configuration, and how to compare them."""
    samples = [row.configuration.sample(study.goal.metric) for row in rows]
    pairs = ((one, other) for place, one in enumerate(samples) for other in samples[:place])
    if any(len(differences(one, other)) >= MIN_SEEDS for one, other in pairs):
        why = (
            f"{rows[0].configuration.name} shares fewer than {MIN_SEEDS} seeds with every other configuration, so it was not "
            "tested whether it is better than them"
        )
    else:
        noise = "with one run each" if all(len(one) == 1 for one in samples) else "with different seeds"
        why = (
            f"No two configurations share {MIN_SEEDS} seeds, so no difference could be tested: {noise}, the noise of the seeds "
            "is not known"
        )
    if study.program:
        return f"{why}. To compare the configurations, search the seed of the program as well, as in {SEED}=0,1,2."
    unsearched = " without searching seed" if any(SEED in trial.params for trial in study.trials) else ""
    return (
        f"{why}. To compare the configurations, run the sweep again{unsearched} with hydra.sweeper.n_repeats=3 (and another "
        "hydra.sweeper.study_name=NAME); every trial is then trained with the same three seeds."
    )


def _other_seeds(study: Study, rows: Sequence[Row]) -> list[str]:
    """A sentence about configurations with a better mean than the leader, but over different seeds."""
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
        f"{listed(better)} {has} than {leader.name}, but over different seeds: the effect of each seed on the "
        "configurations that share it is subtracted before they are sorted."
    )
    return [told]


def _trade_offs(study: Study, rows: Sequence[Row]) -> list[str]:
    goals = " and ".join(goal.words for goal in study.goals)
    front = [row.configuration for row in rows if row.in_front]
    one = (
        "is the only configuration" if len(front) == 1 else f"are {len(front)} of {len(rows)} configurations"
    )
    best = (
        f"The goals are to {goals}, so there is no single best one. {listed([item.name for item in front])} {one} for "
        "which no other one is at least as good in every goal and better in one (the Pareto set)."
    )
    n_seeds = max(len(row.configuration.trainings) for row in rows)
    evidence = "one run each" if n_seeds == 1 else f"means over up to {n_seeds} seeds"
    return [
        best,
        f"The values are {evidence}; it was not tested whether the differences are larger than noise.",
    ]


def _chosen_by(study: Study, rows: Sequence[Row], leading: LeadingRun) -> list[str]:
    """A sentence about the pictures that selected the results, and those that were only evaluated."""
    if study.program:  # which chooses by data of its own
        return []
    trainings = (one for row in rows for one in row.configuration.trainings)
    sizes = sorted({one.n_validation for one in trainings if one.n_validation is not None})
    n_pictures = sizes[0] if len(sizes) == 1 else None
    validation = "The validation set" if n_pictures is None else f"The validation set ({n_pictures} pictures)"
    if len(sizes) > 1:
        validation = f"Validation sets of {listed([str(size) for size in sizes])} pictures"
    best = "the best configuration" if len(study.goals) == 1 else "the Pareto set"
    chose = f"{validation} selected the best epoch of every run and {best}"
    test = rows[0].number(TEST_METRIC, "mean")
    if test is not None:
        held_out = f" ({leading.n_test} pictures)" if leading.n_test else ""
        told = (
            f"{chose}, so its accuracy is optimistic. The test set{held_out} was not used for any selection: "
            f"accuracy {test.text} for {rows[0].configuration.name}."
        )
    else:
        one = f" One picture changes the accuracy by {number_text(1 / n_pictures)}." if n_pictures else ""
        told = (
            f"{chose}. The values reported here come from the same pictures, so the best one is optimistic: expect "
            f"somewhat worse values on new pictures (data.test_split=0.1 holds out pictures that nothing is selected on).{one}"
        )
    return [told]


def _published(study: Study, rows: Sequence[Row]) -> list[str]:
    figure = rows[0].published
    if figure is None or not figure.values:
        return []
    # The published values are rounded.
    mean, high, low = (
        round(rows[0].configuration.mean(study.goal.metric), 4),
        max(figure.values),
        min(figure.values),
    )
    gap = (
        f"{mean - high:.4f} higher"
        if mean > high
        else f"{low - mean:.4f} lower"
        if mean < low
        else "equal or between them"
    )
    return [f"The published study reports {figure.words} for this kind of network; the value here is {gap}."]
