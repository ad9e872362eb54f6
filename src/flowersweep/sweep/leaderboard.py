"""The trials of a study, ranked by their values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from flowersweep.config.spelling import value_text
from flowersweep.sweep.study.attributes import FAIL_REASON, RUN_ID, TAKEN_FROM

# More searched keys than this share a column of a terminal's table, and take the space of epochs and seconds.
MAX_COLUMNS = 3
# MLflow cuts a description at 8,000 characters; this many rows fit.
MARKDOWN_ROWS = 15


@dataclass(frozen=True)
class Row:
    """A finished trial.

    Attributes:
        rank: From 1 among complete trials; with several objectives 1 for the Pareto set and 2 for the others; None
            for pruned and failed ones.
        trial: Its number.
        state: COMPLETE, PRUNED or FAIL.
        values: The objectives; for a pruned trial, the last one it reported; empty for a failed one.
        epochs: Number of reported epochs.
        seconds: From start to end.
        params: The searched values.
        run_id: The id of its MLflow run, if it has one.
        reason: Why it failed; empty otherwise.
        taken_from: The trial with the same values whose result it has, if it was not trained itself; None for the
            others.
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
    taken_from: int | None = None


def leaderboard(study: Study) -> list[Row]:
    """Complete trials, best first; then pruned and failed ones by number. With several objectives: Pareto set first."""
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    others = [trial for trial in trials if trial.state in {TrialState.PRUNED, TrialState.FAIL}]
    if len(study.directions) == 1:
        sign = -1 if study.direction is StudyDirection.MAXIMIZE else 1
        complete.sort(key=lambda one: (sign * one.values[0], TAKEN_FROM in one.user_attrs, one.number))
        ranks: Sequence[int | None] = range(1, len(complete) + 1)
    else:
        front = {trial.number for trial in study.best_trials} if complete else set()
        complete.sort(key=lambda trial: (trial.number not in front, trial.number))
        ranks = [1 if trial.number in front else 2 for trial in complete]
    ranked = [_row(trial, rank) for trial, rank in zip(complete, ranks, strict=True)]
    return ranked + [_row(trial, None) for trial in others]


def best_rows(rows: Sequence[Row]) -> list[Row]:
    """The best trial; with several objectives the Pareto set; empty while nothing is complete."""
    return [row for row in rows if row.rank == 1]


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as values for JSON."""
    return [asdict(row) for row in rows]


def as_markdown(rows: Sequence[Row], names: Sequence[str], link: str = "", limit: int = MARKDOWN_ROWS) -> str:
    """The first rows as a Markdown table.

    Args:
        rows: As `leaderboard` gives them.
        names: Of the objectives.
        link: Address of a run, with {} in the place of its id; empty for no links.
        limit: Maximum number of rows.
    """
    columns = searched(rows)
    head = ["rank", "trial", *columns, *names, "epochs", "seconds", "state"]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row in rows[:limit]:
        rank, trial, *others = cells(row, columns, len(names))
        number = f"[{trial}]({link.format(row.run_id)})" if link and row.run_id else trial
        lines.append(" | ".join([rank, number, *others]))
    more = f"\n\n{len(rows) - limit} more in `study/leaderboard.json`." if len(rows) > limit else ""
    return "\n".join(f"| {line} |" for line in lines) + more


def as_table(rows: Sequence[Row], names: Sequence[str], title: str, limit: int = 10) -> Table:
    """The first rows as a table for a terminal; a Pareto set is shown completely."""
    columns = searched(rows)
    limit = max(limit, len(best_rows(rows)))
    leaves = [name.replace("/", ".").rpartition(".")[2] for name in (*columns, *names)]
    heads = leaves if len(set(leaves)) == len(leaves) else [*columns, *names]
    n_columns = len(columns)
    shared = n_columns > MAX_COLUMNS
    shown = ["searched"] if shared else heads[:n_columns]
    rest = ["state"] if shared else ["epochs", "seconds", "state"]
    table = Table("rank", "trial", *shown, *heads[n_columns:], *rest, title=title)
    table.title_justify = table.caption_justify = "left"
    for column in table.columns:
        column.overflow = "fold"
    for row in rows[:limit]:
        rank, trial, *others = cells(row, columns, len(names))
        if shared:
            pairs = zip(heads, others[:n_columns], strict=False)
            together = " ".join(f"{head}={text}" for head, text in pairs if text)
            others = [together, *others[n_columns:-3], others[-1]]
        table.add_row(rank, trial, *others, style="bold green" if row.rank == 1 else None)
    if len(rows) > limit:
        table.caption = f"and {len(rows) - limit} more"
    return table


def searched(rows: Sequence[Row]) -> list[str]:
    """Every searched key that some trial has."""
    return list(dict.fromkeys(name for row in rows for name in row.params))


def cells(row: Row, columns: Sequence[str], n_values: int = 1) -> list[str]:
    """A row as texts."""
    values = [
        f"{value:.0f}" if value.is_integer() and abs(value) > 1 else f"{value:.4f}" for value in row.values
    ]
    seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
    params = [value_text(row.params[name]) if name in row.params else "" for name in columns]
    padded = values + [""] * (n_values - len(values))
    state = row.state if row.taken_from is None else f"as trial {row.taken_from}"
    return [str(row.rank or ""), str(row.trial), *params, *padded, str(row.epochs or ""), seconds, state]


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
        taken_from=trial.user_attrs.get(TAKEN_FROM),
    )
