"""The table of predictions for each picture."""

import csv
import io
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from flowersweep.texts import in_one_line


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
            [in_one_line(path), class_names[int(truth)], guess, *(f"{chance:.6f}" for chance in row)]
        )
    return text.getvalue()
