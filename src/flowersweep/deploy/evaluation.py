"""Evaluation of a model on a folder of classes: the pictures of its classes, and the metrics of each class."""

import json
import logging
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flowersweep.config import cache_dir
from flowersweep.config.schema import DataConfig
from flowersweep.data import FORMS, Catalogue, fingerprint, read_folder, respelled
from flowersweep.deploy.choose import Choice
from flowersweep.errors import DataError
from flowersweep.figures.confusion import confusion_counts
from flowersweep.texts import paired
from flowersweep.tracking.lookup import Files, run_config
from flowersweep.tracking.run import SPLIT_FILE
from flowersweep.training.dataset import divide, read_pictures, without_unreadable

if TYPE_CHECKING:
    from mlflow.entities import Run

_log = logging.getLogger(__name__)

SUBSETS = ("all", "validation", "test")


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Pictures to evaluate a model on: those of its classes.

    Attributes:
        paths: The paths of the pictures.
        labels: int64, shape (n,): the classes of the pictures, as numbered by the model.
        unknown: Class folders that the model does not know; their pictures are left out.
        missing: Classes of the model without a folder.
    """

    paths: list[Path]
    labels: npt.NDArray[np.int64]
    unknown: list[str]
    missing: list[str]


@dataclass(frozen=True, eq=False)
class ClassMetrics:
    """Precision, recall and F1 of each class; NaN where they are undefined.

    Attributes:
        precision: float64, shape (n_classes,), 0..1: correct fraction of the predictions of a class.
        recall: float64, shape (n_classes,), 0..1: correctly predicted fraction of the pictures of a class.
        f1: Harmonic mean of precision and recall.
        pictures: int64, shape (n_classes,): number of pictures of each class.
        confusion: int64, shape (n_classes, n_classes): true class (row) by predicted class (column).
    """

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    f1: npt.NDArray[np.float64]
    pictures: npt.NDArray[np.int64]
    confusion: npt.NDArray[np.int64]


def evaluation_set(choice: Choice, folder: Path, subset: str) -> EvaluationSet:
    """The pictures of a folder that a model can be evaluated on; classes are matched by name.

    Args:
        choice: The model.
        folder: A folder with one sub-folder per class.
        subset: `all`, or `training`, `validation` or `test` for these pictures of the model's run, from the same data.

    Raises:
        DataError: The folder is not a data set, has no class of the model, or, for a part, is not the data that the run
            was trained on or has no such part.
    """
    data = None if subset == "all" else _recorded(choice)
    catalogue = read_folder(folder, min_classes=1) if data is None else read_pictures(folder, data)
    names = choice.info.class_names
    known = paired(catalogue.class_names, names)
    unknown = [name for name in catalogue.class_names if name not in known]
    if len(unknown) == len(catalogue.class_names):
        raise DataError(
            f"{folder} contains {', '.join(unknown)}, but the model distinguishes {', '.join(names)}; use a folder with at "
            "least one of these classes."
        )
    if data is None:
        positions = np.arange(len(catalogue))
    else:
        catalogue, positions = _part(choice, catalogue, data, subset)
    number = {name: names.index(written) for name, written in known.items()}
    kept = [
        (catalogue.root / catalogue.paths[position], number[name])
        for position in positions
        if (name := catalogue.class_names[catalogue.labels[position]]) in number
    ]
    return EvaluationSet(
        paths=[path for path, _ in kept],
        labels=np.array([label for _, label in kept], np.int64),
        unknown=unknown,
        missing=[name for name in names if name not in known.values()],
    )


def recorded_folder(run: "Run") -> Path:
    """The folder in which a run found its pictures.

    Raises:
        DataError: It does not exist any more, or was not recorded.
    """
    for used in run.inputs.dataset_inputs if run.inputs else []:
        source = json.loads(used.dataset.source).get("uri")
        if source and Path(source).is_dir():
            return Path(source)
    raise DataError(
        f"The pictures of run {run.info.run_id[:8]} are no longer where they were; give their folder with data.dir=DIR."
    )


def _recorded(choice: Choice) -> DataConfig:
    """How the run split its pictures; runs of other versions have recorded fewer settings, or more."""
    recorded = run_config(choice.store, choice.run_id).data
    known = [field.name for field in fields(DataConfig) if field.name in recorded]
    return DataConfig(**{name: recorded[name] for name in known})


def _part(
    choice: Choice, catalogue: Catalogue, data: DataConfig, subset: str
) -> tuple[Catalogue, npt.NDArray[np.int64]]:
    """The catalogue as the run used it, and the indices of the pictures of one of its parts."""
    cache = cache_dir(os.environ.get("FLOWERSWEEP_CACHE") or None)
    found = (catalogue, fingerprint(catalogue, cache))
    if data.unreadable == "skip":
        found = without_unreadable(found, cache)
    catalogue, digest = found
    wanted = str(choice.info.fingerprint)
    spelled = _as_spelled(catalogue, data, wanted, cache) if digest != wanted else (catalogue, catalogue)
    if spelled is None:
        raise DataError(
            f"{catalogue.root} is not the data that run {choice.run_id[:8]} was trained on (fingerprint {digest}, not "
            f"{choice.info.fingerprint}), so it has no {subset} pictures of that run; give the folder of its pictures with "
            "data.dir=DIR."
        )
    table = None if data.split_file is None else Files(choice.store, choice.run_id).text(SPLIT_FILE)
    catalogue, named = spelled
    parts = divide(named, data, table)
    indices = {"training": parts.train, "validation": parts.validation, "test": parts.test}[subset]
    if not len(indices):
        raise DataError(
            f"Run {choice.run_id[:8]} held out no test pictures; train with data.test_split=0.1, or use subset=validation."
        )
    return catalogue, indices


def _as_spelled(
    catalogue: Catalogue, data: DataConfig, wanted: str, cache: Path
) -> tuple[Catalogue, Catalogue] | None:
    """The pictures in the order of the data with a fingerprint, and with its names, if they differ only in the form of Unicode."""
    for form in FORMS:
        found = respelled(catalogue, form, in_parts=data.split == "folders")
        if found is not None and fingerprint(found[0], cache, names=found[1]) == wanted:
            return found
    return None


def class_metrics(
    true: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], n_classes: int
) -> ClassMetrics:
    """Precision, recall and F1 of each class.

    Args:
        true: True class numbers, shape (n,).
        predicted: Predicted class numbers, shape (n,).
        n_classes: The number of classes.
    """
    counts = confusion_counts(true, predicted, n_classes)
    right = np.diag(counts).astype(np.float64)
    are, called = counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore"):  # 0 of 0 is NaN here
        return ClassMetrics(right / called, right / are, 2 * right / (are + called), are, counts)
