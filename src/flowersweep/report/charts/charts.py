"""The charts of the page as Plotly figures."""

import math
from collections.abc import Sequence

from flowersweep.report.charts import search as search_charts
from flowersweep.report.charts import series
from flowersweep.report.charts.plotting import Chart, empty, safe, segments, wrapped
from flowersweep.report.evidence import Goal, State, Study
from flowersweep.report.statistics import searched
from flowersweep.report.statistics.ranking import Row
from flowersweep.texts import number_text


def charts(study: Study, rows: Sequence[Row]) -> dict[str, list[Chart]]:
    """The charts of a study by the section of the page; sections without charts are empty."""
    goal = study.goal
    curves = [
        *(
            _curves(
                name.replace("_", "-"),
                f"{series.words(name)} over the {study.unit}s".capitalize(),
                study,
                rows,
                name,
            )
            for name in series.validated(study)
        ),
        _curves("learning-rate", "Learning rate over the epochs", study, rows, "learning_rate"),
    ]
    search = [search_charts.importance(study, goal), search_charts.parallel(study, rows, goal)]
    return {
        "ranking": [_ranking(rows, goal)] if rows else [],
        "curves": [chart for chart in curves if chart],
        "search": [chart for chart in [*search, _trade_off(study, rows), _timeline(study)] if chart],
    }


def _ranking(rows: Sequence[Row], goal: Goal) -> Chart:
    """One line for each configuration, the best on top: spread, single runs, mean, and the published value."""
    few = rows[: series.MAX_ROWS]
    ticks = [wrapped(row.configuration.name) for row in few]
    n_lines = max(tick.count("<br>") + 1 for tick in ticks)
    figure = empty(height=150 + (20 + 16 * n_lines) * len(few), x=goal.metric)
    places = [-place for place in range(len(few))]
    values = [list(row.configuration.sample(goal.metric).values()) for row in few]
    names = [safe(row.configuration.full_name) for row in few]
    spread_x, spread_y = segments(
        [(min(v), max(v), y, y) for v, y in zip(values, places, strict=True) if len(v) > 1]
    )
    if spread_x:
        line = {"color": series.OTHERS, "width": 4}
        figure.add_scatter(
            x=spread_x, y=spread_y, mode="lines", line=line, name="smallest to largest", hoverinfo="skip"
        )
    points = [
        (v, y, f"{name}, seed {seed}")
        for row, y, name in zip(few, places, names, strict=True)
        for seed, v in row.configuration.sample(goal.metric).items()
    ]
    figure.add_scatter(
        x=[x for x, _, _ in points],
        y=[y for _, y, _ in points],
        text=[f"{text}: {number_text(x)}" for x, _, text in points],
        mode="markers",
        name="one run",
        marker={"color": "white", "size": 8, "line": {"color": "#333333", "width": 1.5}},
        hovertemplate="%{text}<extra></extra>",
    )
    if any(len(v) > 1 for v in values):
        leads = [series.COLOURS[0] if row.rank == 1 else series.OTHERS for row in few]
        means = [row.configuration.mean(goal.metric) for row in few]
        figure.add_scatter(
            x=means,
            y=places,
            text=[f"{name}: mean {number_text(mean)}" for name, mean in zip(names, means, strict=True)],
            mode="markers",
            name="mean",
            marker={"color": leads, "size": 12, "symbol": "diamond"},
            hovertemplate="%{text}<extra></extra>",
        )
    marks = [
        (v, v, y - 0.4, y + 0.4)
        for row, y in zip(few, places, strict=True)
        if row.published
        for v in row.published.values
    ]
    if marks:
        x, y = segments(marks)
        line = {"color": series.COLOURS[1], "width": 2, "dash": "dot"}
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line=line,
            name="published",
            hovertemplate="published %{x:.4f}<extra></extra>",
        )
    figure.update_yaxes(tickvals=places, ticktext=ticks, range=[-len(few) + 0.4, 0.6], title=None)
    left_out = f" The best {len(few)} of {len(rows)} are shown." if len(rows) > len(few) else ""
    has_means = any(len(v) > 1 for v in values)
    alike = " Blue: rank 1." if has_means and any(row.rank > 1 for row in rows) else ""
    return Chart(
        "ranking",
        f"Configurations by {goal.metric}",
        figure,
        f"One line for each configuration.{alike}{left_out}",
    )


def _curves(name: str, title: str, study: Study, rows: Sequence[Row], metric: str) -> Chart | None:
    """Every training over its epochs; the best few in colour, and only they and "others" in the legend."""
    found = series.lines(study, rows, metric)
    if not found:
        return None
    figure = empty(height=430, x=study.unit, y=series.words(metric))
    seen: set[str] = set()
    for line in found:
        group = "others" if line.rank is None else f"{line.rank} {line.name}"
        style = {"color": line.colour, "width": 1 if line.rank is None else 2.5}
        figure.add_scatter(
            x=line.epochs,
            y=line.values,
            name="others" if line.rank is None else wrapped(line.name),
            line=style,
            mode="lines" if len(line.epochs) > 1 else "markers",
            opacity=0.6 if line.rank is None else 1,
            legendgroup=group,
            showlegend=group not in seen,
            legendrank=2000 if line.rank is None else 1000 + line.rank,
            text=[safe(line.about)] * len(line.epochs),
            hovertemplate=f"%{{text}}<br>{study.unit} %{{x}}: %{{y:.5g}}<extra></extra>",
        )
        seen.add(group)
    if metric == "learning_rate":
        low, high = series.rate_range([value for line in found for value in line.values])
        ticks = series.rate_ticks(low, high)
        figure.update_yaxes(type="log", range=[math.log10(low), math.log10(high)])
        figure.update_yaxes(tickvals=list(ticks), ticktext=list(ticks.values()))
    note = "A click on a name in the legend hides it; a double click shows only this one."
    return Chart(name, title, figure, f"{note} Grey: others." if "others" in seen else note)


def _trade_off(study: Study, rows: Sequence[Row]) -> Chart | None:
    """The first goal against the cost, with the Pareto front."""
    if len(rows) < 2:
        return None
    cost, points = series.trade_off(study, rows)
    figure = empty(height=430, x=cost, y=study.goal.metric)
    front = sorted((point for point in points if point.in_front), key=lambda point: point.x)
    if len(study.goals) <= 2:
        line = {"color": series.COLOURS[1], "width": 1.5, "dash": "dot"}
        x, y = [point.x for point in front], [point.y for point in front]
        figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    for name, colour, some in (
        ("others", series.OTHERS, [point for point in points if not point.in_front]),
        ("Pareto set", series.COLOURS[1], front),
    ):
        figure.add_scatter(
            x=[point.x for point in some],
            y=[point.y for point in some],
            text=[
                f"{safe(point.name)}<br>{number_text(point.y)} at {number_text(point.x)}" for point in some
            ],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 10},
            hovertemplate="%{text}<extra></extra>",
        )
    if searched.is_logarithmic([point.x for point in points]):
        figure.update_xaxes(type="log")
    if len(study.goals) > 1:
        return Chart(
            "pareto", "Pareto front: configurations that no other one beats", figure, "Means over the seeds."
        )
    note = "The seconds are a rough measure: they depend on cached features and on the load of the machine."
    return Chart("trade-off", f"{study.goal.monitor} against training time", figure, note)


def _timeline(study: Study) -> Chart | None:
    """The time intervals of the trials, with a lane for each worker or, if workers are not known, for each trial."""
    bars = series.timeline(study)
    if not bars:
        return None
    unit, unit_name = series.span(bars)
    first = min(bar.began for bar in bars)
    lanes = list(dict.fromkeys(bar.lane for bar in bars))
    figure = empty(height=150 + 26 * len(lanes), x=f"{unit_name} since {first:%Y-%m-%d %H:%M} UTC")
    for state in State:
        some = [bar for bar in bars if bar.state is state]
        if some:
            figure.add_bar(
                base=[(bar.began - first).total_seconds() / unit for bar in some],
                x=[(bar.ended - bar.began).total_seconds() / unit for bar in some],
                y=[-lanes.index(bar.lane) for bar in some],
                orientation="h",
                name=state.value,
                text=[f"{bar.number}" for bar in some],
                textposition="inside",
                insidetextanchor="middle",
                marker={"color": series.STATE_COLOURS[state], "line": {"color": "white", "width": 1}},
                hovertemplate=f"trial %{{text}} ({state}): %{{x:.3g}} {unit_name}<extra></extra>",
            )
    figure.update_layout(barmode="overlay", showlegend=True)
    figure.update_yaxes(
        tickvals=[-place for place in range(len(lanes))], ticktext=[safe(lane) for lane in lanes]
    )
    return Chart("timeline", "When each trial ran", figure, "The number on a bar is that of the trial.")
