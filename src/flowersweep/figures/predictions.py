"""The table of what a model said of each picture."""

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
        paths: Where each picture came from, n of them; a row is a line, for which odd names are escaped.
        true: Class numbers, integers of shape (n,).
        probabilities: Shape (n, number of classes); the class with the highest is the predicted one.
        class_names: In the order of the numbers.
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
