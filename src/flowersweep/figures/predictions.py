"""The table of predictions for each picture."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from flowersweep.texts import in_one_line


@dataclass(frozen=True, eq=False)
class PredictionsTable:
    """The content of a table of predictions.

    Attributes:
        paths: The paths of the n pictures, as they are shown.
        class_names: The classes in the order of their numbers.
        true: int64, shape (n,): the true classes.
        predicted: int64, shape (n,): the predicted classes.
        probabilities: float64, shape (n, number of classes).
    """

    paths: list[str]
    class_names: tuple[str, ...]
    true: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]


def predictions_table(
    paths: Sequence[str | PurePath],
    true: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    class_names: Sequence[str],
) -> str:
    """Return a CSV text with the columns path, true, predicted, and `p_CLASS` for each class.

    Args:
        paths: The paths of the n pictures; line breaks and control characters are escaped, so that a row is one line.
        true: Class numbers, integers of shape (n,).
        probabilities: Shape (n, number of classes); the class with the highest probability is the predicted one.
        class_names: The classes in the order of their numbers.
    """
    chances = np.asarray(probabilities)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "true", "predicted", *(f"p_{name}" for name in class_names)])
    for path, truth, row in zip(paths, np.asarray(true), chances, strict=True):
        guess = class_names[int(row.argmax())]
        writer.writerow(
            [in_one_line(path), class_names[int(truth)], guess, *(f"{chance:.6g}" for chance in row)]
        )
    return text.getvalue()


def read_predictions(table: str) -> PredictionsTable | None:
    """The content of a table written by `predictions_table`; None if it has no pictures."""
    head, *lines = list(csv.reader(io.StringIO(table))) or [[]]
    if not lines:
        return None
    names = [column.removeprefix("p_") for column in head[3:]]
    return PredictionsTable(
        paths=[line[0] for line in lines],
        class_names=tuple(names),
        true=np.array([names.index(line[1]) for line in lines]),
        predicted=np.array([names.index(line[2]) for line in lines]),
        probabilities=np.array([[float(cell) for cell in line[3:]] for line in lines]),
    )
