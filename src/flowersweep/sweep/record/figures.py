"""Storing the figures of a study with its run in MLflow."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from optuna import Study

from flowersweep.errors import TrackingError
from flowersweep.figures.ranking import ranking
from flowersweep.sweep.record import plots, table_row
from flowersweep.sweep.study.study import metric_names
from flowersweep.sweep.study.trial_name import trial_name
from flowersweep.tracking.mlflow_tracker import MLflowTracker

log = logging.getLogger(__name__)

RANKING = "study/ranking.png"


def store_ranking(tracker: MLflowTracker, study: Study) -> bool:
    """Store the ranking with the spread of each trial; return whether there is one."""
    trials = table_row.ranked(study)
    if len(trials) < plots.MIN_TRIALS:
        return False
    values = {trial_name(one): table_row.seeds(one) for one in trials}
    is_stored = False
    with _optional():
        tracker.figure(ranking(values, metric_names(study)[0]), RANKING)
        is_stored = True
    return is_stored  # noqa: RET504 (an error ends the block, not the function)


def store_plots(tracker: MLflowTracker, study: Study) -> None:
    """Store Optuna's plots, which takes seconds."""
    with _optional():
        if (html := plots.page(study)) is not None:
            tracker.text(html, "study/plots.html")
        for name, figure in plots.pictures(study):
            tracker.figure(figure, f"study/{name}.png")


@contextmanager
def _optional() -> Iterator[None]:
    """Log an error in a block that draws: the trials are done and stored, so that the sweep is not a failure."""
    try:
        yield
    except TrackingError as error:
        log.warning("The study's plots were not stored: %s", error)
    except Exception:
        log.warning("The study's plots could not be drawn.", exc_info=True)
