"""The trials of a study in the order of their worth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from flowersweep.sweep.outcome import FAIL_REASON
from flowersweep.sweep.trial import RUN_ID


@dataclass(frozen=True)
class Row:
    """One finished trial.

    Attributes:
        rank: From 1 among complete trials; None for pruned and failed ones.
        trial: Its number.
        state: COMPLETE, PRUNED or FAIL.
        values: The objectives; of a pruned trial the last one it reported; empty for a failed one.
        epochs: How many it reported.
        seconds: From beginning to end.
        params: The searched values.
        run_id: Its MLflow run, if it has one.
        reason: Why it failed; empty otherwise.
    """

    rank: int | None
    trial: int
    state: str
    values: tuple[float, ...]
    epochs: int
    seconds: float | None
    params: dict[str, Any]
    run_id: str | None
    reason: str


def leaderboard(study: Study) -> list[Row]:
    """Complete trials, best first; then pruned and failed ones by number. With several objectives: Pareto set first."""
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    others = [trial for trial in trials if trial.state in {TrialState.PRUNED, TrialState.FAIL}]
    if len(study.directions) == 1:
        sign = -1 if study.direction is StudyDirection.MAXIMIZE else 1
        complete.sort(key=lambda trial: (sign * trial.values[0], trial.number))
        ranks: Sequence[int | None] = range(1, len(complete) + 1)
    else:
        best = {trial.number for trial in study.best_trials} if complete else set()
        complete.sort(key=lambda trial: (trial.number not in best, trial.number))
        ranks = [1 if trial.number in best else 2 for trial in complete]
    ranked = [_row(trial, rank) for trial, rank in zip(complete, ranks, strict=True)]
    return ranked + [_row(trial, None) for trial in others]


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON has them."""
    return [asdict(row) for row in rows]


def as_markdown(rows: Sequence[Row], columns: Sequence[str], limit: int = 20) -> str:
    """The first rows as a Markdown table."""
    head = ["rank", "trial", *columns, "value", "epochs", "seconds", "state"]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(cells(row, columns)) for row in rows[:limit]]
    return "\n".join(f"| {line} |" for line in lines)


def as_table(rows: Sequence[Row], columns: Sequence[str], title: str, limit: int = 10) -> Table:
    """The first rows to look at in a terminal."""
    table = Table(
        "rank", "trial", *columns, "value", "epochs", "seconds", "state", title=title, title_justify="left"
    )
    for row in rows[:limit]:
        table.add_row(*cells(row, columns), style="bold green" if row.rank == 1 else None)
    if len(rows) > limit:
        table.caption = f"{len(rows) - limit} more in MLflow"
    return table


def cells(row: Row, columns: Sequence[str]) -> list[str]:
    """One row as texts."""
    values = ", ".join(f"{value:.4f}" for value in row.values)
    seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
    params = [_text(row.params[name]) if name in row.params else "" for name in columns]
    return [str(row.rank or ""), str(row.trial), *params, values, str(row.epochs or ""), seconds, row.state]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _row(trial: FrozenTrial, rank: int | None) -> Row:
    return Row(
        rank=rank,
        trial=trial.number,
        state=trial.state.name,
        values=tuple(trial.values or ()),
        epochs=len(trial.intermediate_values),
        seconds=trial.duration.total_seconds() if trial.duration else None,
        params=dict(trial.params),
        run_id=trial.user_attrs.get(RUN_ID),
        reason=str(trial.user_attrs.get(FAIL_REASON, "")),
    )
