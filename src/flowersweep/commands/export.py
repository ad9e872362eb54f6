"""`flowersweep export`: export a run's model to another format, and compare it with its source."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from flowersweep.commands.arguments import Argument, Command, values_of
from flowersweep.commands.common import CHOICE_ARGUMENTS, OVERWRITE, chosen, output_path
from flowersweep.data.resizing import input_words
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.equality import Equality, UnequalError, compare, shown_pictures
from flowersweep.deploy.exporter import FORMATS, check_format, open_export, write_export
from flowersweep.deploy.images import find_pictures
from flowersweep.deploy.output import check_free, draft
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.deploy.temperature import FIT, Temperature, fit_for
from flowersweep.errors import EXIT_FAILED

BATCH_SIZE = 16

COMMAND = Command(
    name="export",
    about="Export a run's model to another format, with labels.txt and labels.json next to it. The exported model is "
    "read back and must return the same probabilities, to 1e-4.",
    arguments=(
        Argument("format", "the format", required=True, choices=FORMATS),
        Argument("output", "the file, or for saved_model the folder", "PATH", required=True),
        *CHOICE_ARGUMENTS,
        Argument(
            "images", "pictures to compare with (default: noise and synthetic flowers)", "PATH", several=True
        ),
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


def _export(values: Mapping[str, str | None]) -> int:
    kind = str(values["format"])
    output = output_path(values)
    assert output is not None  # noqa: S101 (it is required)
    check_format(kind, output)
    images = values_of(values, "images")
    pictures = find_pictures(images, sys.stdin) if images else None
    choice = chosen(values)
    temperature = fit_for(choice) if values["temperature"] == FIT else None
    beside = {**_labels(choice, output), **_temperature(choice, output, temperature)}
    for path, text in beside.items():
        if not (path.is_file() and path.read_text(encoding="utf-8") == text):
            check_free(path, overwrite=values["overwrite"] == "true")
    try:
        equality = _write(kind, choice, output, pictures, temperature)
    except UnequalError as error:
        sys.stderr.write(f"flowersweep: {error}\n")
        return EXIT_FAILED
    if temperature is None:  # of an earlier export to the same place
        _temperature_file(output).unlink(missing_ok=True)
    for path, text in beside.items():
        with draft(path) as part:
            part.write_text(text, encoding="utf-8")
    sys.stdout.write(
        f"{output}: {kind} of {choice.about}; on {equality.pictures} pictures its probabilities differ from those of "
        f"the source by at most {equality.difference:.2g}. It takes {input_words(choice.info.size, choice.info.resizing)}.\n"
    )
    if temperature is not None:
        sys.stdout.write(f"{temperature.about}\n")
    return 0


def _write(
    kind: str, choice: Choice, output: Path, pictures: list[Path] | None, temperature: Temperature | None
) -> Equality:
    predictor = LocalPredictor(choice, BATCH_SIZE, temperature)
    with draft(output) as part:
        write_export(kind, choice, predictor.model, part, changed=temperature is not None)
        export = open_export(kind, predictor.model, part)
        return compare(predictor, export, shown_pictures(pictures, choice.info.size, choice.info.resizing))


def _temperature_file(output: Path) -> Path:
    return output.with_name(f"{output.name}.temperature.json")


def _temperature(choice: Choice, output: Path, temperature: Temperature | None) -> dict[Path, str]:
    """The file with the temperature and its effect."""
    if temperature is None:
        return {}
    facts = {"run": choice.run_id, **asdict(temperature)}
    return {_temperature_file(output): json.dumps(facts, indent=2) + "\n"}


def _labels(choice: Choice, output: Path) -> dict[Path, str]:
    """The files with the names of the classes, in the order of the outputs."""
    names = choice.info.class_names
    return {
        output.with_name("labels.txt"): "".join(f"{name}\n" for name in names),
        output.with_name("labels.json"): json.dumps(list(names), ensure_ascii=False) + "\n",
    }
