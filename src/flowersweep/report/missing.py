"""Sentences about the trials that are missing from the ranking."""

from collections.abc import Sequence

from flowersweep.report.evidence import State, Study
from flowersweep.report.statistics.ranking import Row
from flowersweep.report.wording import listed
from flowersweep.texts import number_text

MAX_REASONS = 3


def lost_trials(study: Study, rows: Sequence[Row]) -> list[str]:
    """A sentence about trials with a value whose runs are no longer in MLflow, the best first; empty if there are none."""
    sign = study.goal.sign()
    lost = sorted(
        (trial for trial in study.trials if trial.n_lost),
        key=lambda one: sign * one.values[0] if one.values else 0,
    )
    if not lost:
        return []
    told = [
        f"trial {one.number}" + (f" ({study.goal.metric} {number_text(one.values[0])})" if one.values else "")
        for one in lost
    ]
    shown_best = [sign * row.configuration.mean(study.goal.metric) for row in rows]
    best = lost[0].values and all(sign * lost[0].values[0] < value for value in shown_best)
    leads = (
        f" Trial {lost[0].number} is the best of the study, so the leader on this page is not."
        if best and rows
        else ""
    )
    sentence = (
        f"Runs of {listed(told)} are missing: they are no longer in MLflow.{leads} Deleted runs can be restored with "
        "`mlflow runs restore --run-id ID`; the ids are in study/leaderboard.json, an artifact of the study's run."
    )
    return [sentence]


def unfinished_trials(study: Study) -> list[str]:
    """Sentences about trials that were pruned, not trained, failed or not finished, and the reasons."""
    count, sentences = study.count(), []
    if n_pruned := count.get(State.PRUNED):
        were = "trial was" if n_pruned == 1 else "trials were"
        sentences.append(
            f"{n_pruned} {were} pruned before the training was complete and cannot be ranked with the others."
        )
    if n_taken := sum(trial.taken_from is not None for trial in study.trials):
        had = "trial had" if n_taken == 1 else "trials had"
        sentences.append(
            f"{n_taken} {had} the same values as another one, and reused its result without training."
        )
    if n_failed := count.get(State.FAILED):
        reasons = list(
            dict.fromkeys(
                trial.reason or "reason unknown" for trial in study.trials if trial.state is State.FAILED
            )
        )
        told = "; ".join(reason.rstrip(".") for reason in reasons[:MAX_REASONS])
        sentences.append(f"{n_failed} {'trial' if n_failed == 1 else 'trials'} failed: {told}.")
    if n_open := count.get(State.STOPPED, 0) + count.get(State.RUNNING, 0):
        have = "trial has" if n_open == 1 else "trials have"
        sentences.append(f"{n_open} {have} not finished; the command of the sweep resumes it.")
    return sentences
