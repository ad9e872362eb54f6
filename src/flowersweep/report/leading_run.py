"""The leading run of a study: its confusion matrix, its most confident mistakes, and how to train it again."""

import base64
import csv
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep.figures.calibration import Calibration, calibration
from flowersweep.figures.confusion import confusion_counts
from flowersweep.figures.mistakes import most_confident_mistakes
from flowersweep.figures.predictions import read_predictions
from flowersweep.report.configurations import Configuration
from flowersweep.report.evidence import Study, Training
from flowersweep.report.shown_config import shown_config
from flowersweep.tracking.lookup import Files, training_command, with_seed
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.run import PICTURES, VALIDATION_TABLE
from flowersweep.tracking.store.store import Store
from flowersweep.training.history import RECALL

if TYPE_CHECKING:
    from mlflow.entities import Dataset

MAX_MISTAKES = 12


@dataclass(frozen=True)
class Mistake:
    """A wrongly classified picture.

    Attributes:
        path: The path of the picture, relative to the folder of the data.
        true: The true class.
        predicted: The predicted class.
        chance: The model's probability of that class, 0..1.
    """

    path: str
    true: str
    predicted: str
    chance: float


@dataclass(frozen=True)
class ValidationResult:
    """The result of a training on the validation pictures.

    Attributes:
        class_names: The classes in the order of rows and columns.
        counts: The confusion matrix, true classes in rows and predicted ones in columns, int64, shape (n, n).
        mistakes: The mistakes, the most confident first.
        calibration: How the confidences of the predictions compare with their accuracy.
    """

    class_names: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    mistakes: tuple[Mistake, ...]
    calibration: Calibration

    @property
    def recalls(self) -> list[float | None]:
        """The recognized fraction of each class, 0..1; None for a class without pictures."""
        totals = self.counts.sum(axis=1)
        return [
            float(self.counts[index, index] / total) if total else None
            for index, total in enumerate(totals.tolist())
        ]


@dataclass(frozen=True)
class LeadingRun:
    """The best training of the leading configuration.

    Attributes:
        training: The training.
        configuration: Its configuration.
        validation: Its result; None if the run has no table of predictions.
        recalls: The recall of each class in each epoch, by class; empty if they were not recorded.
        mistakes_png: The figure of its mistakes, as a data URI; None if figures were not stored.
        config: Its configuration as YAML, with folders only as they were typed; empty if the run has none.
        command: The command that trains it again; empty if it was not recorded.
        versions: The versions of packages, and the commit, by name.
        data: Facts about the data set by name.
    """

    training: Training
    configuration: Configuration
    validation: ValidationResult | None = None
    recalls: dict[str, list[float]] = field(default_factory=dict)
    mistakes_png: str | None = None
    config: str = ""
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)

    @property
    def n_test(self) -> int:
        """The number of test pictures; 0 also if it was not recorded."""
        return int(self.data.get("test", 0))


def read_leading_run(store: Store, configuration: Configuration, study: Study) -> LeadingRun:
    """Read the training with the best value of a configuration.

    Raises:
        TrackingError: A file of its run exists but cannot be read.
    """
    goal = study.goal
    best = min(configuration.trainings, key=lambda one: (goal.sign() * one.metrics[goal.metric], one.seed))
    files = Files(store, best.run_id)
    table, picture = files.text(VALIDATION_TABLE), files.data("confident_mistakes.png")
    overrides = (files.text("config/overrides.txt") or "").splitlines()
    return LeadingRun(
        training=best,
        configuration=configuration,
        validation=None if table is None else validation_result(table),
        recalls=_recalls(files.text("history.csv") or ""),
        mistakes_png=None if picture is None else data_uri(picture),
        config=shown_config(files.text("config/config.yaml") or "", overrides),
        # Without overrides it is not known how the run was trained.
        command=_command(study, overrides, best.seed) if overrides else "",
        versions=_versions(json.loads(files.text("config/provenance.json") or "{}")),
        data=_data(store, best.run_id),
    )


def _command(study: Study, overrides: list[str], seed: int) -> str:
    if study.program:
        return training_command(overrides, study.program)
    return training_command(with_seed(overrides, seed))


def validation_result(table: str) -> ValidationResult | None:
    """The result in a table of predictions; None if the table is empty.

    Args:
        table: A table written by `predictions_table`.
    """
    found = read_predictions(table)
    if found is None:
        return None
    # The probabilities in the table are rounded, so two may be equal; the predicted class is stored next to them.
    chances = found.probabilities.copy()
    chances[np.arange(len(chances)), found.predicted] += 1e-9
    names = found.class_names
    mistakes = [
        Mistake(
            found.paths[i],
            names[found.true[i]],
            names[found.predicted[i]],
            float(found.probabilities[i, found.predicted[i]]),
        )
        for i in most_confident_mistakes(found.true, chances, MAX_MISTAKES)
    ]
    return ValidationResult(
        names,
        confusion_counts(found.true, found.predicted, len(names)),
        tuple(mistakes),
        calibration(found.true, chances),
    )


def data_uri(png: bytes) -> str:
    """A picture as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _recalls(history: str) -> dict[str, list[float]]:
    """The recalls in a table of epochs, by class."""
    rows = list(csv.DictReader(io.StringIO(history)))
    columns = [name for name in rows[0] if name.startswith(RECALL)] if rows else []
    return {name.removeprefix(RECALL): [float(row[name]) for row in rows] for name in columns}


def _versions(provenance: dict[str, str]) -> dict[str, str]:
    """The facts that may be published; the machine's name and the command line of the process are left out."""
    names = {
        "git.commit": "commit",
        "host.python": "python",
        "host.platform": "platform",
        "host.cpus": "CPUs",
    }
    packages = {
        key.removeprefix("version."): text for key, text in provenance.items() if key.startswith("version.")
    }
    found = {**packages, **{name: provenance[key] for key, name in names.items() if key in provenance}}
    if provenance.get("git.dirty") == "true":
        found["commit"] = f"{found['commit']} with uncommitted changes"
    return found


def _data(store: Store, run_id: str) -> dict[str, str]:
    with translated(f"read the data set of run {run_id}"):
        run = client(store.uri).get_run(run_id)
    inputs = run.inputs
    if not inputs or not inputs.dataset_inputs:
        return {}
    used: Dataset = inputs.dataset_inputs[0].dataset
    profile: dict[str, Any] = json.loads(used.profile or "{}")
    return {
        "name": used.name,
        "fingerprint": used.digest,
        **{key: str(value) for key, value in profile.items()},
        **{key.removeprefix(PICTURES): n for key, n in run.data.tags.items() if key.startswith(PICTURES)},
    }
