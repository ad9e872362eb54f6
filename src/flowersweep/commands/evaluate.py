"""`flowersweep evaluate`: evaluate a run's model on a folder of pictures."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from flowersweep.commands.parsing.arguments import Argument, Command
from flowersweep.commands.parsing.common import (
    BATCH_SIZE,
    CHOICE_ARGUMENTS,
    OVERWRITE,
    chosen,
    output_path,
    whole_number,
)
from flowersweep.console import plain_console, print_notice
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.evaluation import SUBSETS, ClassMetrics, EvaluationSet, class_metrics, evaluation_set
from flowersweep.deploy.images import batches
from flowersweep.deploy.output import as_json, draft, number
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.errors import EXIT_FAILED, ConfigError, DataError
from flowersweep.figures.calibration import BINS, Calibration, calibration
from flowersweep.figures.confusion import confusion_matrix
from flowersweep.progress import progress
from flowersweep.tables import Listing
from flowersweep.texts import counted, expanded, in_one_line, number_text

if TYPE_CHECKING:
    from flowersweep.training.probabilities import Predictions

_MISTAKES = 20  # lines instead of a matrix that is too wide

COMMAND = Command(
    name="evaluate",
    about="Evaluate a run's model on a folder with one sub-folder per class: accuracy, loss and confusion matrix.",
    arguments=(
        Argument(
            "data.dir",
            "the folder; classes are matched by the names of its sub-folders",
            "FOLDER",
            required=True,
        ),
        *CHOICE_ARGUMENTS,
        Argument(
            "subset",
            "which pictures; validation and test: those parts of the run's pictures, if the folder is the same",
            default="all",
            choices=SUBSETS,
        ),
        Argument("format", "output format", default="table", choices=("table", "json")),
        BATCH_SIZE,
        Argument("output", "a .png file for the confusion matrix", "FILE"),
        OVERWRITE,
    ),
    example="python -m flowersweep evaluate data.dir=flower_photos subset=validation",
    positional="data.dir",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 if pictures could not be read, or 2 for bad input."""
    return COMMAND.run(_evaluate, arguments)


def _evaluate(values: Mapping[str, str | None]) -> int:
    batch_size = whole_number(values, "batch_size")
    output = output_path(values)
    if output is not None and output.suffix.lower() != ".png":
        raise ConfigError(
            f"output={output} must be a .png file, because it is an image of the confusion matrix; change its extension."
        )
    choice = chosen(values)
    data = evaluation_set(choice, expanded(str(values["data.dir"])), str(values["subset"]))
    _say_what_is_left_out(data)
    predictions = _predictions(choice, data, batch_size)
    names = choice.info.class_names
    metrics = class_metrics(predictions.labels, predictions.predicted, len(names))
    if output is not None:  # before anything is printed, whose reader may leave
        with draft(output, overwrite=values["overwrite"] == "true") as part:
            confusion_matrix(predictions.labels, predictions.predicted, names).savefig(part)
    show = _show_json if values["format"] == "json" else _show_tables
    show(choice, data, predictions, metrics)
    return EXIT_FAILED if len(predictions.labels) < len(data.paths) else 0


def _say_what_is_left_out(data: EvaluationSet) -> None:
    for names, sentence in (
        (data.unknown, "The model does not have the classes {}; their pictures are left out."),
        (data.missing, "The folder has no pictures of {}."),
    ):
        if names:
            print_notice(sentence.format(", ".join(map(in_one_line, names))))


def _predictions(choice: Choice, data: EvaluationSet, batch_size: int) -> "Predictions":
    """The predictions for the pictures that can be read; the others are reported."""
    predictor = LocalPredictor(choice, batch_size)
    from flowersweep.training.probabilities import Predictions

    probabilities: list[npt.NDArray[np.float32]] = []
    read: list[int] = []
    with progress("Evaluating", len(data.paths)) as advance:
        for batch in batches(data.paths, choice.info.size, batch_size, choice.info.resizing):
            for sentence in batch.unreadable:
                print_notice(sentence)
            if batch.positions:
                probabilities.append(predictor(batch.images))
                read += batch.positions
            advance(len(batch))
    if not read:
        raise DataError("None of the pictures could be read.")
    return Predictions(np.concatenate(probabilities), data.labels[read].astype(np.int32))


def _show_json(
    choice: Choice, data: EvaluationSet, predictions: "Predictions", metrics: ClassMetrics
) -> None:
    names = choice.info.class_names
    trust = calibration(predictions.labels, predictions.probabilities)
    classes = {
        name: {
            "pictures": int(metrics.pictures[i]),
            "precision": number(metrics.precision[i]),
            "recall": number(metrics.recall[i]),
            "f1": number(metrics.f1[i]),
        }
        for i, name in enumerate(names)
    }
    found: dict[str, Any] = {
        "run": choice.run_id,
        "pictures": len(predictions.labels),
        "accuracy": predictions.accuracy,
        "loss": predictions.loss,
        "macro_f1": predictions.macro_f1,
        "balanced_accuracy": predictions.balanced_accuracy,
        "auc": number(predictions.auc),
        "top3": predictions.top3,
        "calibration_error": trust.error,
        "reliability": [
            {"pictures": n, "confidence": number(confidence), "accuracy": number(accuracy)}
            for n, confidence, accuracy in zip(
                trust.pictures.tolist(), trust.confidence, trust.accuracy, strict=True
            )
        ],
        "classes": classes,
        "confusion": {
            name: dict(zip(names, row, strict=True))
            for name, row in zip(names, metrics.confusion.tolist(), strict=True)
        },
        "unknown": data.unknown,
        "missing": data.missing,
        "unreadable": len(data.paths) - len(predictions.labels),
    }
    sys.stdout.write(f"{as_json(found, sys.stdout, indent=2)}\n")


def _show_tables(
    choice: Choice, _data: EvaluationSet, predictions: "Predictions", metrics: ClassMetrics
) -> None:
    console = plain_console()
    names = [in_one_line(name) for name in choice.info.class_names]
    rows = []
    for i, name in enumerate(names):
        rates = (metrics.precision[i], metrics.recall[i], metrics.f1[i])
        shown = ("-" if np.isnan(rate) else number_text(rate) for rate in rates)
        rows.append((name, *shown, str(metrics.pictures[i])))
    numbers = ("precision", "recall", "F1", "pictures")
    table = Listing(("class", *numbers), rows, title="Classes", right=numbers, wrapping={"class"})
    console.print(choice.about[0].upper() + choice.about[1:], highlight=False, soft_wrap=True)
    console.print(
        f"{counted(len(predictions.labels), 'picture')}: accuracy {number_text(predictions.accuracy)}, loss {number_text(predictions.loss)}",
        highlight=False,
    )
    table.show(console)
    show_matrix(console, names, metrics.confusion)
    trust = calibration(predictions.labels, predictions.probabilities)
    _reliability(trust).show(console)
    console.print(f"Expected calibration error {number_text(trust.error)}", highlight=False)


def _reliability(trust: Calibration) -> Listing:
    """The reliability diagram as numbers; bins without predictions are left out."""
    rows = [
        (
            f"{number_text(place / BINS)} to {number_text((place + 1) / BINS)}",
            number_text(trust.confidence[place]),
            number_text(trust.accuracy[place]),
            str(trust.pictures[place]),
        )
        for place in np.flatnonzero(trust.pictures)
    ]
    numbers = ("mean", "correct", "pictures")
    return Listing(("confidence", *numbers), rows, title="Reliability", right=numbers)


def show_matrix(console: Console, names: Sequence[str], confusion: npt.NDArray[np.int64]) -> None:
    """Print the confusion matrix or, if it is too wide, the most frequent mistakes.

    Args:
        console: The console to print to.
        names: The names of the classes, each on one line.
        confusion: How often each true class (row) was predicted as each class (column).
    """
    rows = [(name, *map(str, row)) for name, row in zip(names, confusion.tolist(), strict=True)]
    title = "Confusion matrix (columns: predicted)"
    # The rows of a matrix are of no use one below the other.
    matrix = Listing(("true", *names), rows, title=title, right=names)
    (matrix if matrix.widths(console.width) else _mistakes(names, confusion)).show(console)


def _mistakes(names: Sequence[str], confusion: npt.NDArray[np.int64]) -> Listing:
    counts = confusion - np.diag(confusion.diagonal())
    order = np.argsort(-counts, axis=None, kind="stable")[:_MISTAKES]
    rows = [
        (names[true], names[predicted], str(counts[true, predicted]))
        for true, predicted in zip(*np.unravel_index(order, counts.shape), strict=True)
        if counts[true, predicted]
    ]
    return Listing(
        ("true", "predicted", "pictures"),
        rows,
        title="Most frequent mistakes (complete matrix: format=json, or output=FILE.png)",
        right={"pictures"},
        wrapping={"true", "predicted"},
    )
