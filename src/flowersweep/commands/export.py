"""`flowersweep export`: export a run's model to another format, and compare it with its source."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flowersweep.commands.parsing.arguments import Argument, Command, values_of
from flowersweep.commands.parsing.common import CHOICE_ARGUMENTS, OVERWRITE, chosen, fraction, output_path
from flowersweep.console import print_notice
from flowersweep.data.decode import Pixels
from flowersweep.data.resizing import input_words
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.equality import (
    MAX_DROP,
    Labelled,
    UnequalError,
    compare,
    compare_accuracy,
    shown_pictures,
)
from flowersweep.deploy.evaluation import EvaluationSet, evaluation_set, recorded_folder
from flowersweep.deploy.exporter import FORMATS, check_format, open_export, write_export
from flowersweep.deploy.images import batches, find_pictures
from flowersweep.deploy.model_info import ModelInfo
from flowersweep.deploy.output import check_free, draft
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.deploy.temperature import FIT, Temperature, fit_for
from flowersweep.deploy.tflite import (
    CALIBRATION_PICTURES,
    FULL,
    INTEGER,
    PRECISIONS,
    calibration_pictures,
)
from flowersweep.errors import EXIT_FAILED, ConfigError
from flowersweep.progress import progress
from flowersweep.texts import expanded, in_one_line

BATCH_SIZE = 16

COMMAND = Command(
    name="export",
    about="Export a run's model to another format, with labels.txt and labels.json next to it. The exported model is "
    "read back and must return the same probabilities, to 1e-4, or with a lower precision= be as accurate on the validation "
    "pictures of the run.",
    arguments=(
        Argument("format", "the format", required=True, choices=FORMATS),
        Argument("output", "the file, or for saved_model the folder", "PATH", required=True),
        *CHOICE_ARGUMENTS,
        Argument(
            "images", "pictures to compare with (default: noise and synthetic flowers)", "PATH", several=True
        ),
        Argument(
            "precision",
            f"precision of tflite: float16 halves the file; int8 makes it a third or less, is faster, takes uint8 pictures, and is "
            f"calibrated on {CALIBRATION_PICTURES} training pictures; default: {FULL}",
            choices=PRECISIONS,
        ),
        Argument(
            "max_drop",
            f"largest decrease of the validation accuracy that is accepted for float16 and int8; default: {MAX_DROP}",
            "FRACTION",
        ),
        Argument("data.dir", "the pictures of the run, for float16 and int8, if they have been moved", "DIR"),
        Argument(
            "temperature",
            "fit: divide the logits by a temperature that is fitted on the run's validation predictions; its effect is "
            "in the file PATH.temperature.json",
            "fit",
            choices=(FIT,),
        ),
        OVERWRITE,
    ),
    example="python -m flowersweep export format=tflite output=exported/flowers.tflite",
    positional="output",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 if the export is not equal to its source, or 2 for bad input."""
    return COMMAND.run(_export, arguments)


@dataclass(frozen=True, eq=False)
class _Reduced:
    """What a lower precision needs.

    Attributes:
        precision: One of PRECISIONS.
        calibration: See `write_tflite`.
        validation: The pictures on which the export is compared with its source.
        max_drop: The accepted decrease of the accuracy.
    """

    precision: str
    calibration: Pixels | None
    validation: EvaluationSet
    max_drop: float


def _export(values: Mapping[str, str | None]) -> int:
    kind = str(values["format"])
    output = output_path(values)
    assert output is not None  # noqa: S101 (it is required)
    check_format(kind, output)
    precision = _precision(values, kind)
    max_drop = fraction(values, "max_drop", MAX_DROP)
    images = values_of(values, "images")
    pictures = find_pictures(images, sys.stdin) if images else None
    choice = chosen(values)
    temperature = fit_for(choice) if values["temperature"] == FIT else None
    beside = {
        **{output.with_name(name): text for name, text in choice.info.label_files.items()},
        **_temperature(choice, output, temperature),
    }
    overwrite = values["overwrite"] == "true"
    for path, text in beside.items():
        if not _is_there(path, text):
            check_free(path, overwrite=overwrite)
    reduced = None
    if precision != FULL:
        folder = expanded(values["data.dir"]) if values["data.dir"] else recorded_folder(choice.run)
        reduced = _reduced(choice, folder, precision, max_drop)
    try:
        about = _write(
            kind,
            choice,
            output,
            overwrite=overwrite,
            temperature=temperature,
            pictures=pictures,
            reduced=reduced,
        )
    except UnequalError as error:
        print_notice(str(error))
        return EXIT_FAILED
    if temperature is None:  # of an earlier export to the same place
        _temperature_file(output).unlink(missing_ok=True)
    for path, text in beside.items():
        if not _is_there(path, text):
            with draft(path, overwrite=overwrite) as part:
                part.write_text(text, encoding="utf-8")
    dtype = "uint8" if precision == INTEGER else "float32"
    taken = f"{input_words(choice.info.size, choice.info.resizing)}, as {dtype}"
    sys.stdout.write(f"{in_one_line(output)}: {kind} of {choice.about}; {about}. It takes {taken}.\n")
    if temperature is not None:
        sys.stdout.write(f"{temperature.about}\n")
    return 0


def _is_there(path: Path, text: str) -> bool:
    """Whether an earlier export has written the same file."""
    return path.is_file() and path.read_bytes() == text.encode()


def _precision(values: Mapping[str, str | None], kind: str) -> str:
    """The precision of the export; arguments without effect are refused."""
    given = values["precision"]
    if given is not None and kind != "tflite":
        raise ConfigError(
            f"precision={given} needs format=tflite, but format={kind} was given; change the format, or leave precision= out."
        )
    precision = given or FULL
    for name in ("data.dir", "max_drop") if precision == FULL else ("images",):
        if values[name] is not None:
            others = "precision=float16 and int8" if precision == FULL else f"precision={FULL}"
            raise ConfigError(f"{name}= is only for {others}; leave it out.")
    return precision


def _reduced(choice: Choice, folder: Path, precision: str, max_drop: float) -> _Reduced:
    validation = evaluation_set(choice, folder, "validation")
    calibration = None
    if precision == INTEGER:
        calibration = calibration_pictures(evaluation_set(choice, folder, "training"), choice.info)
    return _Reduced(precision, calibration, validation, max_drop)


def _write(
    kind: str,
    choice: Choice,
    output: Path,
    *,
    overwrite: bool,
    temperature: Temperature | None,
    pictures: list[Path] | None,
    reduced: _Reduced | None,
) -> str:
    """Write an export that has been compared with its source; returns the result in words."""
    info, changed = choice.info, temperature is not None
    predictor = LocalPredictor(choice, BATCH_SIZE, temperature)
    with draft(output, overwrite=overwrite) as part:
        if reduced is None:
            write_export(kind, choice, predictor.model, part, changed=changed)
            shown = shown_pictures(pictures, info.size, info.resizing)
            return compare(predictor, open_export(kind, part), shown).about
        calibrated = ""
        if reduced.calibration is not None:
            calibrated = f", calibrated on {len(reduced.calibration)} training pictures"
            print_notice(f"converting to {reduced.precision}{calibrated} ...")
        write_export(
            kind,
            choice,
            predictor.model,
            part,
            precision=reduced.precision,
            calibration=reduced.calibration,
        )
        agreement = compare_accuracy(
            predictor, open_export(kind, part), _labelled(reduced.validation, info), reduced.max_drop
        )
        return f"{reduced.precision}{calibrated}, {part.stat().st_size / 1e6:.3g} MB; {agreement.about}"


def _labelled(data: EvaluationSet, info: ModelInfo) -> Iterator[Labelled]:
    """Pictures with their classes, in batches; unreadable ones are left out."""
    with progress("Comparing", len(data.paths)) as advance:
        for batch in batches(data.paths, info.size, BATCH_SIZE, info.resizing):
            if batch.positions:
                yield batch.images, data.labels[batch.positions]
            advance(len(batch))


def _temperature_file(output: Path) -> Path:
    return output.with_name(f"{output.name}.temperature.json")


def _temperature(choice: Choice, output: Path, temperature: Temperature | None) -> dict[Path, str]:
    """The file with the temperature and its effect."""
    if temperature is None:
        return {}
    facts = {"run": choice.run_id, **asdict(temperature)}
    return {_temperature_file(output): json.dumps(facts, indent=2) + "\n"}
