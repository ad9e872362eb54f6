"""A run in the results: its numbers, its figures and its model."""

import functools
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowersweep.api.pictures import Pictures
from flowersweep.deploy.best_run import objective, overrides_of
from flowersweep.deploy.choose import choose_run, find_run
from flowersweep.streams import standard_error_held
from flowersweep.texts import in_one_line, number_text
from flowersweep.tracking.lookup import Files, load_model, training_command
from flowersweep.tracking.mlflow_api import environment_kept
from flowersweep.tracking.selection import open_results, program_of
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from mlflow.entities import Run

_SHOWN = ("best/epoch", "best/val_accuracy", "best/val_loss", "test/accuracy", "total/seconds")


@dataclass(frozen=True)
class Result:
    """A run. A notebook shows its main numbers and its learning curves.

    Attributes:
        run_id: Its id in MLflow.
        name: Its name.
        status: FINISHED, FAILED, KILLED or RUNNING.
        metric: The metric that it was trained for, for example best/val_accuracy.
        metrics: best/*, last/*, total/*, model/* and, if a test set was held out, test/*; of a trial with repeats, their means.
        params: Its configuration as dotted keys and texts, as in MLflow.
        store: Where it is stored.
    """

    run_id: str
    name: str
    status: str
    metric: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    store: Store

    @property
    def objective(self) -> float:
        """The value of `metric`; NaN if it has none."""
        return self.metrics.get(self.metric, float("nan"))

    @functools.cached_property
    def history(self) -> "pd.DataFrame":
        """A row for each epoch, from 1: loss, accuracy, val_loss, val_accuracy, learning_rate, recall of each class and so on.

        Empty for a run that was not completed, and for a trial with repeats, each of which has its own.
        """
        import pandas as pd

        with environment_kept():
            text = Files(self.store, self.run_id).text("history.csv")
        return pd.DataFrame() if text is None else pd.read_csv(io.StringIO(text), index_col="epoch")

    @functools.cached_property
    def figures(self) -> Pictures:
        """The figures of the run by name: curves, confusion_matrix, confident_mistakes, augmentation_preview."""
        with environment_kept():
            return Pictures.of_run(self.store, self.run_id)

    @property
    def overrides(self) -> list[str]:
        """The overrides with which it was trained; those of a trial include the searched values, those of a repeat its seed."""
        with environment_kept():
            return overrides_of(self.store, find_run(self.store, self.run_id))

    @property
    def command(self) -> str:
        """The command that trains the same again; for a trial of another program, that of this program."""
        with environment_kept():
            program = program_of(self.store, find_run(self.store, self.run_id))
        return training_command(self.overrides, program)

    def model(self) -> "keras.Model":
        """The trained model, which maps pictures (float32, 0..255) to probabilities. Imports Keras into this process.

        Of a trial with repeats, it is the model of the best one.

        Raises:
            TrackingError: It has saved none.
        """
        with environment_kept(), standard_error_held():
            choice = choose_run(self.store, find_run(self.store, self.run_id))
            return load_model(self.store, choice.location)

    def __repr__(self) -> str:
        return f"<Result {self.run_id[:8]} {self.name}: {self.metric} {number_text(self.objective)}>"

    def _repr_html_(self) -> str:
        names = dict.fromkeys([self.metric, *_SHOWN])
        rows = {name: number_text(self.metrics[name]) for name in names if name in self.metrics}
        cells = "".join(f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in rows.items())
        title = html.escape(f"{in_one_line(self.name)}, run {self.run_id[:8]}, {self.status}")
        curves = self.figures["curves"].html() if "curves" in self.figures else ""
        return f"<p><b>{title}</b></p><table>{cells}</table>{curves}"


def load_run(run: str, directory: str | Path | None = None, *, uri: str | None = None) -> Result:
    """A run by its id.

    Args:
        run: Its id, or at least 8 digits of it.
        directory: The folder of the results; the default one if None.
        uri: MLflow's tracking URI, if the results are not in that folder.

    Raises:
        TrackingError: There is no such run, or no results.
        ConfigError: It is not an id.

    Example:
        >>> import flowersweep as fs
        >>> result = fs.load_run("6160fa99")  # doctest: +SKIP
        >>> result.figures["curves"]  # doctest: +SKIP
        <Picture curves>
    """
    with environment_kept():
        store = open_results(None if directory is None else str(directory), uri)
        return as_result(store, find_run(store, str(run)))


def as_result(store: Store, run: "Run") -> Result:
    """A run of MLflow."""
    metrics = {name: float(value) for name, value in run.data.metrics.items() if "/" in name}
    return Result(
        run_id=str(run.info.run_id),
        name=str(run.info.run_name),
        status=str(run.info.status),
        metric=objective(run)[0],
        metrics=metrics,
        params=dict(run.data.params),
        store=store,
    )
