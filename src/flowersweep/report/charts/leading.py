"""The charts of the leading run: reliability, and the recall of each class over the epochs."""

import numpy as np

from flowersweep.figures.calibration import BINS, Calibration
from flowersweep.report.charts import series
from flowersweep.report.charts.plotting import Chart, empty, safe, wrapped
from flowersweep.report.leading_run import LeadingRun
from flowersweep.texts import number_text


def leading_charts(leading: LeadingRun | None) -> list[Chart]:
    """The charts for which the leading run has data."""
    if leading is None:
        return []
    found = [_recalls(leading.recalls)] if leading.recalls else []
    if leading.validation is not None:
        found.append(_reliability(leading.validation.calibration))
    return found


def _reliability(calibration: Calibration) -> Chart:
    """The correct fraction of the predictions of each bin, next to the fraction that their confidence promises."""
    some = np.flatnonzero(calibration.pictures)
    figure = empty(height=430, x="confidence: probability of the predicted class", y="correct fraction")
    figure.add_bar(
        x=((some + 0.5) / BINS).tolist(),
        y=calibration.accuracy[some].tolist(),
        width=1 / BINS,
        name="correct fraction",
        marker={"color": series.COLOURS[0], "line": {"color": "white", "width": 1}},
        customdata=[
            [
                int(calibration.pictures[i]),
                *map(number_text, (calibration.confidence[i], calibration.accuracy[i])),
            ]
            for i in some
        ],
        hovertemplate="%{customdata[0]} pictures<br>confidence %{customdata[1]}<br>correct %{customdata[2]}<extra></extra>",
    )
    figure.add_scatter(
        x=calibration.confidence[some].tolist(),
        y=calibration.confidence[some].tolist(),
        mode="lines+markers",
        name="mean confidence",
        line={"color": series.COLOURS[1], "width": 2, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[0, 1.02])
    note = (
        f"The expected calibration error is {number_text(calibration.error)}: the mean difference between confidence and correct fraction "
        f"of the {calibration.pictures.sum()} validation pictures, in {BINS} bins. Bars below the line: the model is too sure "
        "of itself; export with temperature=fit corrects it."
    )
    return Chart("reliability", "Reliability of the probabilities", figure, note)


def _recalls(recalls: dict[str, list[float]]) -> Chart:
    figure = empty(height=430, x="epoch", y="recall")
    for place, (name, values) in enumerate(recalls.items()):
        figure.add_scatter(
            x=list(range(1, len(values) + 1)),
            # A class without validation pictures has none; JSON has no NaN.
            y=[None if np.isnan(value) else value for value in values],
            name=wrapped(name),
            mode="lines" if len(values) > 1 else "markers",
            line={"color": series.COLOURS[place % len(series.COLOURS)], "width": 2},
            text=[
                f"{safe(name)}<br>epoch {epoch}: {number_text(value)}"
                for epoch, value in enumerate(values, 1)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    note = "The fraction of the validation pictures of each class that was recognized."
    return Chart("recalls", "Recall of each class over the epochs", figure, note)
