"""Optuna's plots of a study, as one page that works offline and as pictures."""

import logging
import warnings
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import optuna
from optuna import Study
from optuna.trial import TrialState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

# Plots that compare trials say nothing of fewer.
MIN_TRIALS = 2


def page(study: Study) -> str | None:
    """One HTML page with every plot that the study allows, Plotly's script inside; None if there is none."""
    import plotly.io

    parts: list[str] = []
    for _, figure in _figures(study, optuna.visualization):
        parts.append(plotly.io.to_html(figure, full_html=False, include_plotlyjs=not parts))
    if not parts:
        return None
    title = f"<title>{escape(study.study_name)}</title>"
    return (
        f"<!doctype html><html><head><meta charset='utf-8'>{title}</head><body>{''.join(parts)}</body></html>"
    )


def pictures(study: Study) -> Iterator[tuple[str, "Figure"]]:
    """Name and matplotlib figure of every plot that the study allows."""
    # It would tell that numbers among a parameter's choices are drawn as categories, which they are.
    logging.getLogger("matplotlib.category").setLevel(logging.WARNING)
    for name, axes in _figures(study, optuna.visualization.matplotlib):
        first = axes.flat[0] if hasattr(axes, "flat") else axes
        figure = first.figure
        figure.set_size_inches(max(9, 2.5 * len(figure.axes)), 5.5)
        if len(figure.axes) == 1:
            figure.set_layout_engine("tight")
        else:  # colour bars and axes that lie over each other go with no layout engine
            figure.subplots_adjust(bottom=0.28)
            for part in figure.axes:
                part.tick_params(axis="x", labelrotation=25)
        yield name, figure
        _close(figure)


def _figures(study: Study, module: Any) -> Iterator[tuple[str, Any]]:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < MIN_TRIALS:
        return
    names = ["optimization_history", "param_importances", "slice", "parallel_coordinate", "timeline"]
    if len(study.directions) > 1:
        names = ["pareto_front", "timeline"]
    for name in names:
        try:
            with warnings.catch_warnings():
                # Optuna marks its matplotlib plots as experimental, each time they are drawn.
                warnings.simplefilter("ignore")
                figure = getattr(module, f"plot_{name}")(study)
        except (ValueError, RuntimeError, ImportError) as error:
            # A study with one value of a parameter has no importances; the other plots are drawn all the same.
            log.debug("No %s plot: %s", name, error)
            continue
        yield name, figure


def _close(figure: Any) -> None:
    """Optuna draws through pyplot, which keeps figures until they are closed."""
    import matplotlib.pyplot as plt

    plt.close(figure)
