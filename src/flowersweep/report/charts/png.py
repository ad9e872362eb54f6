"""The main charts as image files, drawn by Matplotlib from the same series."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flowersweep.figures.style import blank, plain
from flowersweep.report.charts import series
from flowersweep.report.evidence import State, Study
from flowersweep.report.statistics import searched
from flowersweep.report.statistics.ranking import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID = "#DDDDDD"
_LONGEST = 40  # characters of a name


def pictures(study: Study, rows: Sequence[Row]) -> Iterator[tuple[str, "Figure"]]:
    """Yield the name (without an extension) and the figure of each chart for which the study has data."""
    if rows:
        yield "ranking", _ranking(study, rows)
    for metric in (*series.validated(study), "learning_rate"):
        if lines := series.lines(study, rows, metric):
            yield metric, _curves(lines, metric, series.words(metric), study.unit)
    if shares := searched.importances(study):
        yield "importance", _importance(shares, study.goal.metric)
    if len(rows) > 1:
        yield "pareto" if len(study.goals) > 1 else "trade_off", _trade_off(study, rows)
    if bars := series.timeline(study):
        yield "timeline", _timeline(bars)


def _ranking(study: Study, rows: Sequence[Row]) -> "Figure":
    few, metric = rows[: series.MAX_ROWS], study.goal.metric
    figure = blank(8.5, 1.4 + 0.42 * len(few))
    axis = figure.subplots()
    for place, row in enumerate(few):
        values = list(row.configuration.sample(metric).values())
        axis.plot(
            [min(values), max(values)],
            [place, place],
            color=series.OTHERS,
            linewidth=3,
            solid_capstyle="round",
        )
        run = "one run" if not place else None
        axis.plot(
            values,
            [place] * len(values),
            "o",
            color="white",
            markeredgecolor="#333333",
            markersize=6,
            label=run,
        )
        if len(values) > 1:
            colour = series.COLOURS[0] if row.rank == 1 else series.OTHERS
            label = "mean" if not place else None
            axis.plot(row.configuration.mean(metric), place, "D", color=colour, markersize=8, label=label)
    marks = [
        (value, place) for place, row in enumerate(few) if row.published for value in row.published.values
    ]
    if marks:
        x, y = [value for value, _ in marks], [place for _, place in marks]
        low, high = [place - 0.4 for place in y], [place + 0.4 for place in y]
        axis.vlines(x, low, high, color=series.COLOURS[1], linestyles=":", linewidth=2, label="published")
    axis.set_yticks(range(len(few)), [plain(row.configuration.name, _LONGEST) for row in few])
    axis.set_ylim(len(few) - 0.4, -0.6)
    axis.set(xlabel=metric, title=f"Configurations by {metric}")
    _finish(axis, legend=True)
    return figure


def _curves(lines: Sequence[series.Line], metric: str, label: str, unit: str) -> "Figure":
    from matplotlib.ticker import MaxNLocator

    figure = blank(8.5, 5)
    axis = figure.subplots()
    named: set[str] = set()
    for line in lines:
        best = line.rank is not None
        name = plain(line.name, _LONGEST) if best else "others"
        style = "-" if len(line.epochs) > 1 else "o"
        known = None if name in named else name
        width, alpha = (2.0, 1.0) if best else (0.8, 0.6)
        axis.plot(
            line.epochs, line.values, style, color=line.colour, linewidth=width, alpha=alpha, label=known
        )
        named.add(name)
    if metric == "learning_rate":
        low, high = series.rate_range([value for line in lines for value in line.values])
        ticks = series.rate_ticks(low, high)
        axis.set_yscale("log")
        axis.set_ylim(low, high)
        axis.set_yticks(list(ticks), list(ticks.values()))
        axis.minorticks_off()
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel=unit, ylabel=label, title=f"{label.capitalize()} over the {unit}s")
    _finish(axis, legend=True)
    return figure


def _importance(shares: dict[str, float], metric: str) -> "Figure":
    figure = blank(8.5, 1.4 + 0.4 * len(shares))
    axis = figure.subplots()
    axis.barh([plain(name, _LONGEST) for name in shares], list(shares.values()), color=series.COLOURS[0])
    axis.invert_yaxis()
    axis.set(
        xlim=(0, 1),
        xlabel=f"importance for {metric}",
        title="Importance of the searched keys",
    )
    _finish(axis)
    return figure


def _trade_off(study: Study, rows: Sequence[Row]) -> "Figure":
    cost, points = series.trade_off(study, rows)
    figure = blank(8.5, 5)
    axis = figure.subplots()
    front = sorted((point for point in points if point.in_front), key=lambda point: point.x)
    others = [point for point in points if not point.in_front]
    axis.scatter(
        [point.x for point in others], [point.y for point in others], color=series.OTHERS, label="others"
    )
    style = ":o" if len(study.goals) <= 2 else "o"
    x, y = [point.x for point in front], [point.y for point in front]
    axis.plot(x, y, style, color=series.COLOURS[1], label="Pareto set")
    if searched.is_logarithmic([point.x for point in points]):
        axis.set_xscale("log")
    title = "Pareto front" if len(study.goals) > 1 else f"{study.goal.monitor} against training time"
    axis.set(xlabel=cost, ylabel=study.goal.metric, title=title)
    _finish(axis, legend=True)
    return figure


def _timeline(bars: Sequence[series.Bar]) -> "Figure":
    unit, unit_name = series.span(bars)
    first = min(bar.began for bar in bars)
    lanes = list(dict.fromkeys(bar.lane for bar in bars))
    figure = blank(8.5, 1.6 + 0.28 * len(lanes))
    axis = figure.subplots()
    for state in State:
        some = [bar for bar in bars if bar.state is state]
        if some:
            axis.barh(
                [lanes.index(bar.lane) for bar in some],
                [(bar.ended - bar.began).total_seconds() / unit for bar in some],
                left=[(bar.began - first).total_seconds() / unit for bar in some],
                color=series.STATE_COLOURS[state],
                edgecolor="white",
                label=state.value,
            )
    axis.set_yticks(range(len(lanes)), [plain(lane, _LONGEST) for lane in lanes])
    axis.invert_yaxis()
    axis.set(xlabel=f"{unit_name} since {first:%Y-%m-%d %H:%M} UTC", title="When each trial ran")
    _finish(axis, legend=True)
    return figure


def _finish(axis: "Axes", *, legend: bool = False) -> None:
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    if legend:
        # The series drawn last is on top and first in the legend.
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(
            handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1), fontsize=8, frameon=False
        )
