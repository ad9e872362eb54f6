"""Optuna's plots of a study, as one page that works offline and as images."""

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

# Plots that compare trials need at least this many.
MIN_TRIALS = 2
# Importances compare parameters.
MIN_COMPARED = 2


def page(study: Study) -> str | None:
    """An HTML page with every plot that is possible for the study, including Plotly's script; None if there is none."""
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
    """Name and matplotlib figure of every plot that is possible for the study."""
    # Matplotlib would report that numbers among a parameter's choices are drawn as categories, which is intended.
    logging.getLogger("matplotlib.category").setLevel(logging.WARNING)
    for name, axes in _figures(study, optuna.visualization.matplotlib):
        first = axes.flat[0] if hasattr(axes, "flat") else axes
        figure = first.figure
        figure.set_size_inches(max(9, 2.5 * len(figure.axes)), 5.5)
        if len(figure.axes) == 1:
            figure.set_layout_engine("tight")
        else:  # no layout engine supports colour bars and overlapping axes
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
    if len({name for trial in complete for name in trial.params}) < MIN_COMPARED:
        # The only parameter has all the importance; to say so would import scikit-learn.
        names.remove("param_importances")
    if len(study.directions) > 1:
        names = ["pareto_front", "timeline"]
    for name in names:
        try:
            with warnings.catch_warnings():
                # Optuna warns that its matplotlib plots are experimental, each time they are drawn.
                warnings.simplefilter("ignore")
                figure = getattr(module, f"plot_{name}")(study)
        except (ValueError, RuntimeError, ImportError) as error:
            # A study with one value of a parameter has no importances; the other plots are still drawn.
            log.debug("No %s plot: %s", name, error)
            continue
        yield name, figure


def _close(figure: Any) -> None:
    """Close a figure: Optuna draws with pyplot, which holds figures until they are closed."""
    import matplotlib.pyplot as plt

    plt.close(figure)
