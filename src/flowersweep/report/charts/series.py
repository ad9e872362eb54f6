"""The data series of the charts of a study, shared by the page and the PNG files."""

import datetime as dt
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flowersweep.report.evidence import State, Study, Training
from flowersweep.report.statistics.ranking import Row
from flowersweep.tracking.run import REPORTED

# The best few have distinct colours, which colour-blind readers can distinguish (Okabe and Ito, 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
OTHERS = "#9A9A9A"
STATE_COLOURS = {
    State.COMPLETE: "#0072B2",
    State.PRUNED: "#E69F00",
    State.FAILED: "#D55E00",
    State.RUNNING: "#56B4E9",
    State.STOPPED: "#666666",
}
MAX_ROWS = 40


@dataclass(frozen=True)
class Line:
    """One training over its epochs.

    Attributes:
        name: The name of the configuration or the trial.
        about: Name, seed and trial on one line.
        colour: The colour; distinct for the best few configurations.
        rank: Counted from 0 for the best few configurations; None for others.
        epochs: The numbers of the epochs.
        values: One value for each epoch.
    """

    name: str
    about: str
    colour: str
    rank: int | None
    epochs: list[int]
    values: list[float]


@dataclass(frozen=True)
class Point:
    """Two values of one configuration."""

    name: str
    x: float
    y: float
    in_front: bool


@dataclass(frozen=True)
class Bar:
    """One trial in time.

    Attributes:
        lane: The worker that ran it, or the trial itself if workers are not known.
        number: The number of the trial.
        state: The state of the trial.
        began: Time of the start.
        ended: Time of the end; for a running trial, the time at which the page was created.
    """

    lane: str
    number: int
    state: State
    began: dt.datetime
    ended: dt.datetime


def validated(study: Study) -> list[str]:
    """The metrics that are drawn over epochs: those of the goals first, then validation accuracy and loss."""
    if study.program:
        return [REPORTED]
    goals = [goal.monitor for goal in study.goals if goal.metric.startswith("best/")]
    return list(dict.fromkeys([*goals, "val_accuracy", "val_loss"]))


def words(metric: str) -> str:
    """A metric of an epoch in words."""
    return metric.replace("_", " ").replace("val ", "validation ")


def lines(study: Study, rows: Sequence[Row], metric: str) -> list[Line]:
    """The trainings that have a value of an epoch's metric: those of the best configurations last, so that they are drawn on top."""
    found: list[Line] = []
    ranked = {one.run_id: place for place, row in enumerate(rows) for one in row.configuration.trainings}
    names = {one.run_id: row.configuration.name for row in rows for one in row.configuration.trainings}
    for trial in study.trials:
        for training in trial.trainings:
            points = training.curves.get(metric, ())
            if not points:
                continue
            place = ranked.get(training.run_id)
            best = place is not None and place < len(COLOURS)
            name = names.get(training.run_id, f"trial {trial.number}")
            about = f"{name}, seed {training.seed}, trial {trial.number} ({trial.state})"
            colour = COLOURS[place] if best and place is not None else OTHERS
            epochs, values = [step for step, _ in points], [value for _, value in points]
            found.append(Line(name, about, colour, place if best else None, epochs, values))
    return sorted(found, key=lambda line: len(COLOURS) if line.rank is None else line.rank, reverse=True)


def rate_range(values: Sequence[float]) -> tuple[float, float]:
    """The ends of a logarithmic axis for learning rates; a constant one is in its middle.

    Args:
        values: The rates, one or more; those that are not positive are left out.
    """
    positive = [value for value in values if value > 0] or [1.0]
    space = 2.0 if max(positive) < 4 * min(positive) else 1.25
    return min(positive) / space, max(positive) * space


def rate_ticks(low: float, high: float) -> dict[float, str]:
    """Ticks of a logarithmic axis and their texts: plain numbers such as 0.0005; powers of ten alone if it is long."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if high < 1000 * low else (1,)
    ticks = (digit * 10.0**exponent for exponent in exponents for digit in digits)
    return {tick: plain_number(tick) for tick in ticks if low * 0.999 <= tick <= high * 1.001}


def plain_number(value: float) -> str:
    """A number with three significant digits and without an exponent, unless it is tiny or huge."""
    if value == 0 or 1e-6 <= abs(value) < 1e6:
        return np.format_float_positional(float(f"{value:.3g}"), trim="-")
    return f"{value:.3g}"


def seconds_of(trainings: Sequence[Training]) -> float:
    """The mean training time of one run, in seconds."""
    return statistics.mean(one.seconds for one in trainings)


def trade_off(study: Study, rows: Sequence[Row]) -> tuple[str, list[Point]]:
    """The name of a cost, and the cost and the first goal of every configuration.

    The cost is the second goal; with one goal it is the training time.
    """
    goal = study.goal
    if len(study.goals) > 1:
        other = study.goals[1]
        return other.metric, [
            Point(
                row.configuration.name,
                row.configuration.mean(other.metric),
                row.configuration.mean(goal.metric),
                row.in_front,
            )
            for row in rows
        ]
    costs = [
        (seconds_of(row.configuration.trainings), goal.sign() * row.configuration.mean(goal.metric))
        for row in rows
    ]
    front = [
        not any(other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in costs)
        for mine in costs
    ]
    return "seconds of training in a run", [
        Point(row.configuration.name, cost[0], goal.sign() * cost[1], in_front)
        for row, cost, in_front in zip(rows, costs, front, strict=True)
    ]


def timeline(study: Study) -> list[Bar]:
    """The time intervals of the trials."""
    now = study.ended or dt.datetime.now(dt.UTC)
    known = all(trial.worker for trial in study.trials if trial.began is not None)
    workers = list(dict.fromkeys(trial.worker for trial in study.trials))
    bars = []
    for trial in study.trials:
        if trial.began is not None:
            lane = f"worker {workers.index(trial.worker) + 1}" if known else f"trial {trial.number}"
            ended = max(trial.ended or now, trial.began)
            bars.append(Bar(lane, trial.number, trial.state, trial.began, ended))
    return bars


def span(bars: Sequence[Bar]) -> tuple[float, str]:
    """The unit for the length of a timeline, in seconds, and its name."""
    length = (max(bar.ended for bar in bars) - min(bar.began for bar in bars)).total_seconds()
    return (1, "seconds") if length < 600 else (60, "minutes") if length < 36_000 else (3600, "hours")
