"""The leaderboard as tables: in Markdown for MLflow, and for a terminal."""

import math
from collections.abc import Mapping, Sequence

from optuna.trial import TrialState

from flowersweep.config.spelling import headings, value_text, value_texts
from flowersweep.ranking.standings import configuration_key
from flowersweep.sweep.leaderboard import Leaderboard, Row
from flowersweep.tables import Listing
from flowersweep.texts import mean_text, number_text

# MLflow cuts a description at 8,000 characters; this many rows fit.
MARKDOWN_ROWS = 15
# The headings of what is neither searched nor an objective; the last one is that of the searched values in one column.
_FIXED = ("rank", "trial", "mean of seeds", "seeds", "epochs", "steps", "seconds", "state", "searched")


def as_markdown(board: Leaderboard, names: Sequence[str], link: str = "", limit: int = MARKDOWN_ROWS) -> str:
    """The first rows as a Markdown table, and what the ranks mean.

    Args:
        board: The trials.
        names: Of the objectives.
        link: Address of a run, with {} in the place of its id; empty for no links.
        limit: Maximum number of rows.
    """
    head, table = _columns(board.rows, *headings(searched(board.rows), names, _FIXED, short=False))
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for row, (rank, trial, *others) in zip(board.rows[:limit], table, strict=False):
        number = f"[{trial}]({link.format(row.run_id)})" if link and row.run_id else trial
        lines.append(" | ".join([rank, number, *others]))
    n_more = len(board.rows) - limit
    more = f"\n\n{n_more} more in `study/leaderboard.json`." if n_more > 0 else ""
    note = f"\n\n{board.note}" if board.note else ""
    return "\n".join(f"| {line} |" for line in lines) + more + note


def answer(board: Leaderboard) -> str:
    """The best trial, its spread, and whether others are as good; the first lines of a description are shown at once."""
    if len(board.best) != 1:
        return ""
    (best,) = board.best
    values = ", ".join(f"{key}={value_text(value)}" for key, value in best.params.items())
    spread = f"{_spread(best)} over {best.n_seeds} seeds"
    if best.standard_deviation is None:
        told = number_text(best.values[0])
    else:
        told = (
            spread
            if math.isclose(best.mean or 0.0, best.values[0])
            else f"{number_text(best.values[0])}; its configuration {spread}"
        )
    name = f"trial {best.trial}" + (f" ({values})" if values else "")
    return f"Best: **{name}**, {told}{_as_good(board, best)}.\n\n"


def _as_good(board: Leaderboard, best: Row) -> str:
    """How many other configurations have the rank of the best trial, or that its own is not the best one."""
    if best.rank != 1:
        return f", which has rank {best.rank}"
    equal = {configuration_key(row.params) for row in board.rows if row.rank == 1 and row.taken_from is None}
    n_more = len(equal) - 1
    untested = " or could not be compared" if board.untested else ""
    return f"; {n_more} more with rank 1, which cannot be distinguished from it{untested}" if n_more else ""


def as_listings(
    board: Leaderboard, names: Sequence[str], title: str, limit: int = 10
) -> tuple[Listing, Listing]:
    """The first rows for a terminal, and the same with all searched values in one column, which is narrower.

    A Pareto set is shown completely.

    Args:
        board: The trials.
        names: Of the objectives.
        title: A line above the table.
        limit: Maximum number of rows.
    """
    rows = board.rows[: max(limit, len(board.best))]
    keys, objectives = headings(searched(rows), names, _FIXED, short=True)
    head, table = _columns(rows, keys, objectives)
    best = {row.trial for row in board.best}
    styles = ["bold green" if row.trial in best else "green" if row.rank == 1 else None for row in rows]
    optional = [name for name in ("seconds", "epochs", "steps") if name in head]
    n_more = len(board.rows) - len(rows)
    more = f"and {n_more} more" if n_more else ""
    full = Listing(tuple(head), table, title, optional=optional, styles=styles, caption=more)
    after = 2 + len(keys)
    pairs = [
        " ".join(f"{name}={text}" for name, text in zip(keys.values(), cells[2:after], strict=True) if text)
        for cells in table
    ]
    shared = Listing(
        (*head[:2], "searched", *head[after:]),
        [[*cells[:2], pair, *cells[after:]] for cells, pair in zip(table, pairs, strict=True)],
        wrapping={"searched"},
        optional=optional,
        styles=styles,
    )
    return full, shared


def searched(rows: Sequence[Row]) -> list[str]:
    """Every searched key that some trial has."""
    return list(dict.fromkeys(name for row in rows for name in row.params))


def _columns(
    rows: Sequence[Row], keys: Mapping[str, str], objectives: Mapping[str, str]
) -> tuple[list[str], list[list[str]]]:
    """Headings and cells; columns without any content are left out.

    Args:
        rows: The trials.
        keys: The headings of the searched keys.
        objectives: The headings of the objectives, in their order.
    """
    spread = {row.trial: _spread(row) for row in rows}
    repeated = any(row.mean != row.values[0] for row in rows if spread[row.trial])
    columns = {
        "rank": [str(row.rank or "") for row in rows],
        "trial": [str(row.trial) for row in rows],
        **{head: value_texts([row.params.get(key, "") for row in rows]) for key, head in keys.items()},
        **{
            head: [
                (spread[row.trial] if place == 0 and not repeated else "")
                or "".join(map(number_text, row.values[place : place + 1]))
                for row in rows
            ]
            for place, head in enumerate(objectives.values())
        },
    }
    also = {
        "mean of seeds": [spread[row.trial] for row in rows] if repeated else [],
        "seeds": [str(row.n_seeds) if spread[row.trial] else "" for row in rows],
        "epochs": [str(row.epochs or "") for row in rows],
        "steps": [str(row.steps or "") for row in rows] if all(row.epochs is None for row in rows) else [],
        "seconds": ["" if row.seconds is None else f"{row.seconds:.1f}" for row in rows],
        "state": _states(rows),
    }
    columns |= {head: cells for head, cells in also.items() if any(cells)}
    return list(columns), [list(cells) for cells in zip(*columns.values(), strict=True)]


def _states(rows: Sequence[Row]) -> list[str]:
    """The state of each trial; none at all if every trial was trained and is complete."""
    states = [row.state if row.taken_from is None else f"as trial {row.taken_from}" for row in rows]
    return [] if set(states) == {TrialState.COMPLETE.name} else states


def _spread(row: Row) -> str:
    """Mean and standard deviation; empty for a single seed."""
    if row.mean is None or row.standard_deviation is None:
        return ""
    return mean_text(row.mean, row.standard_deviation)
