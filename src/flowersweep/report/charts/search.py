"""The charts of a search: the importance of each key, and the combinations of values."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from flowersweep.config.spelling import value_texts
from flowersweep.report.charts.plotting import Chart, empty, safe, wrapped
from flowersweep.report.charts.series import COLOURS, rate_range, rate_ticks
from flowersweep.report.evidence import Goal, Study
from flowersweep.report.statistics import searched
from flowersweep.report.statistics.ranking import Row
from flowersweep.texts import number_text

# In the notation of D3: without its default of SI prefixes, which shows 0.00049 as 490µ.
NUMBER = ".4~g"


def importance(study: Study, goal: Goal) -> Chart | None:
    """A bar chart of the importances of the searched keys; None if they are not known."""
    shares = searched.importances(study)
    if not shares:
        return None
    names = list(shares)[::-1]
    figure = empty(height=140 + 38 * len(names), x=f"importance for {goal.metric}")
    figure.add_bar(
        x=[shares[name] for name in names],
        y=list(range(len(names))),
        orientation="h",
        text=[f"{safe(name)}: {number_text(shares[name])}" for name in names],
        textposition="none",
        marker={"color": COLOURS[0]},
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=[wrapped(name) for name in names])
    note = (
        f"Importance for the best results, estimated by Optuna from {len(searched.counted(study))} trials. With "
        "fewer than fifty trials the estimate is rough."
    )
    return Chart("importance", "Importance of the searched keys", figure, note)


def parallel(study: Study, rows: Sequence[Row], goal: Goal) -> Chart | None:
    """One line for each configuration and each pruned trial through its values; None for fewer than two keys or lines."""
    pruned = searched.pruned(study) if len(study.goals) == 1 else []
    points = [row.configuration.trials[0].params for row in rows] + [trial.params for trial in pruned]
    axes = searched.parallel(study, points)
    if len(axes) < 2 or len(points) < 2:
        return None
    values = [row.configuration.mean(goal.metric) for row in rows] + [trial.values[0] for trial in pruned]
    states = ["complete"] * len(rows) + ["pruned"] * len(pruned)
    if pruned:
        axes.append(searched.Axis("state", [*states], None))
    figure = empty(height=420)
    figure.add_parcoords(
        line={
            "color": values,
            "colorscale": "Viridis",
            "reversescale": not goal.maximize,
            "showscale": False,
        },
        dimensions=[
            *map(_dimension, axes),
            {"label": safe(goal.monitor), "values": values, "tickformat": NUMBER},
        ],
        labelfont={"size": 13},
    )
    figure.update_layout(margin={"l": 70, "r": 50, "t": 70, "b": 30})
    lines = "configuration and each pruned trial, with its last value" if pruned else "configuration"
    note = f"One line for each {lines}; brighter is better. Drag along an axis to select lines."
    return Chart("parallel", "Combinations of values", figure, note, is_wide=True)


def _dimension(axis: searched.Axis) -> dict[str, Any]:
    """An axis of numbers, on a logarithmic scale if they were searched so, or of choices; a missing key is a choice, too."""
    name, values = safe(axis.name), axis.values
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) and not hasattr(axis.distribution, "choices"):
        if not searched.is_logarithmic(numbers, axis.distribution):
            return {"label": name, "values": numbers, "tickformat": NUMBER}
        low, high = rate_range(numbers)
        ticks = rate_ticks(low, high)
        return {
            "label": name,
            "values": [math.log10(value) for value in numbers],
            "range": [math.log10(low), math.log10(high)],
            "tickvals": [math.log10(tick) for tick in ticks],
            "ticktext": list(ticks.values()),
        }
    texts = value_texts(["(missing)" if value is None else value for value in values])
    choices = list(dict.fromkeys(texts))
    if len(numbers) == len(values):
        choices.sort(key=float)
    short = [textwrap.shorten(choice, 18, placeholder="…") for choice in choices]
    return {
        "label": name,
        "values": [choices.index(text) for text in texts],
        "tickvals": list(range(len(choices))),
        "ticktext": list(map(safe, short if len(set(short)) == len(short) else choices)),
    }
