"""A study in the results: its trials, the best one, and its report."""

import datetime as dt
import html
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.trial import TrialState

from flowersweep.api.report import Report, make_report
from flowersweep.api.result import Result, as_result
from flowersweep.config.locations import results_dir
from flowersweep.config.spelling import headings, value_texts
from flowersweep.deploy.best_run import best_run
from flowersweep.doctor.results import has_studies
from flowersweep.errors import SweepError
from flowersweep.sweep.leaderboard import as_row, leaderboard
from flowersweep.sweep.leaderboard_view import searched
from flowersweep.sweep.status import stop
from flowersweep.sweep.storage.storage import closing_storage, open_storage, shown, storage_url
from flowersweep.sweep.study.study import metric_names
from flowersweep.texts import choose_one_of, counted, expanded, in_one_line
from flowersweep.tracking.mlflow_api import environment_kept
from flowersweep.tracking.selection import find_study, open_results
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

_MAX_ROWS = 60
_NEVER = dt.datetime.min  # noqa: DTZ901 - Optuna's times have no zone
# The columns before and after the objectives and the searched values.
_FIRST = ("trial", "rank", "state")
_LAST = ("epochs", "seconds", "run_id", "reason")
_OPEN = (TrialState.RUNNING, TrialState.WAITING)


@dataclass(frozen=True)
class Study:
    """A study. A notebook shows its trials.

    Attributes:
        name: Its name.
        storage: Where Optuna stores it: `optuna.load_study(study_name=study.name, storage=study.storage)` opens it.
        directory: The folder of the results.
        uri: MLflow's tracking URI, if the results are not in that folder.
    """

    name: str
    storage: str
    directory: str
    uri: str | None = None

    def trials(self) -> "pd.DataFrame":
        """A row for each trial: the finished ones as on the leaderboard, best first, then running and waiting ones.

        The index is the number of the trial. Columns are its rank (equal for trials that cannot be distinguished), its state,
        the objectives, the searched values, epochs, seconds, the id of its run, and the reason of a failure. Where two of them
        have the same name, it is `searched/NAME` or `objective/NAME`.
        """
        import pandas as pd

        with _opened(self.storage) as storage:
            study = optuna.load_study(study_name=self.name, storage=storage)
            names = metric_names(study)
            still = study.get_trials(deepcopy=False, states=_OPEN)
            trials = [*leaderboard(study).rows, *map(as_row, still)]
        keys, objectives = headings(searched(trials), names, (*_FIRST, *_LAST), short=False)
        rows = [
            {
                "trial": row.trial,
                "rank": row.rank,
                "state": row.state,
                **dict(zip(objectives.values(), row.values or [math.nan] * len(names), strict=True)),  # noqa: PD011 - not of pandas
                **{keys[key]: value for key, value in row.params.items()},
                "epochs": row.epochs,
                "seconds": row.seconds,
                "run_id": row.run_id,
                "reason": row.reason,
            }
            for row in trials
        ]
        columns = [*_FIRST, *objectives.values(), *keys.values(), *_LAST]
        return (
            pd.DataFrame(rows, columns=columns)
            .astype({"rank": "Int64", "epochs": "Int64"})
            .set_index("trial")
        )

    @property
    def best(self) -> Result:
        """The run of the best trial, as `predict run=best` uses it; with several objectives, that of the first one.

        Raises:
            TrackingError: No trial has finished, or the run is no longer in MLflow.
        """
        with environment_kept():
            store = self._store()
            return as_result(store, best_run(store, self.name))

    def report(self, output: str | Path | None = None) -> Report:
        """Write the report, as `python -m flowersweep report` does; a notebook shows its main part.

        Args:
            output: The folder of the page and its images; None for reports/STUDY.
        """
        with environment_kept():
            store = self._store()
            run = find_study(store, self.name, of_others=True)
            return make_report(store, run, None if output is None else str(output))

    def stop(self) -> None:
        """Stop the sweep of this study on all its machines, as `flowersweep stop` does, and wait for its workers.

        Its trials wait for the next sweep.

        Raises:
            SweepError: Workers do not respond.
        """
        with _opened(self.storage) as storage:
            silent = stop(optuna.load_study(study_name=self.name, storage=storage), "study.stop()")
        if silent:
            raise SweepError(silent)

    def _store(self) -> Store:
        return open_results(self.directory, self.uri)

    def __repr__(self) -> str:
        return f"<Study {self.name}>"

    def _repr_html_(self) -> str:
        trials = self.trials()
        states = trials["state"].value_counts().to_dict() if len(trials) else {}
        counts = ", ".join(f"{count} {state.lower()}" for state, count in states.items())
        title = html.escape(f"{in_one_line(self.name)}: {counts or counted(0, 'trial')}")
        empty = [name for name in ("reason",) if not trials[name].any()]
        table = trials.drop(columns=["run_id", *empty])
        for name in table.select_dtypes("float"):
            table[name] = ["" if text == "nan" else text for text in value_texts(table[name].tolist())]
        return f"<p><b>{title}</b></p>{table.to_html(na_rep='', max_rows=_MAX_ROWS)}"


def load_study(
    name: str | None = None,
    directory: str | Path | None = None,
    *,
    uri: str | None = None,
    storage: str | None = None,
) -> Study:
    """A study by its name.

    Args:
        name: Its name; None for the one that was started last.
        directory: The folder of the results; the default one if None.
        uri: MLflow's tracking URI, if the results are not in that folder.
        storage: `hydra.sweeper.storage`, if the study is not in that folder.

    Raises:
        SweepError: There is no such study, or its storage cannot be used.

    Example:
        >>> import flowersweep as fs
        >>> study = fs.load_study("dropout")  # doctest: +SKIP
        >>> study.best.model().predict(pictures)  # doctest: +SKIP
    """
    folder = expanded(directory or results_dir()).absolute()
    url = storage_url(storage, folder)
    if not has_studies(url):
        raise SweepError(
            f"There are no studies in {shown(url)}; run a sweep first, or give the folder of the results or hydra.sweeper.storage."
        )
    with _opened(url) as opened:
        summaries = optuna.get_all_study_summaries(opened, include_best_trial=False)
    names = [one.study_name for one in sorted(summaries, key=lambda one: one.datetime_start or _NEVER)]
    if name is None and names:
        name = names[-1]
    if name not in names:
        raise SweepError(f"There is no study {name!r} in {shown(url)}; {choose_one_of(names, name or '')}")
    return Study(str(name), url, str(folder), uri)


@contextmanager
def _opened(url: str) -> Iterator[optuna.storages.BaseStorage]:
    """The storage, without a connection or another log level that would stay."""
    verbosity = optuna.logging.get_verbosity()
    try:
        with closing_storage(open_storage(url, Path())) as storage:
            yield storage
    finally:
        optuna.logging.set_verbosity(verbosity)
