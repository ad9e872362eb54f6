"""`flowersweep predict`: classify pictures."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TextIO

from flowersweep.commands.parsing.arguments import Argument, Command, values_of
from flowersweep.commands.parsing.common import (
    BATCH_SIZE,
    CHOICE_ARGUMENTS,
    OVERWRITE,
    chosen,
    output_path,
    whole_number,
)
from flowersweep.console import print_line, print_notice, stderr_console
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.images import batches, find_pictures
from flowersweep.deploy.output import draft
from flowersweep.deploy.prediction_writer import FORMATS, open_writer, top_classes
from flowersweep.deploy.predictor import LocalPredictor, Predictor, RemotePredictor
from flowersweep.errors import EXIT_FAILED
from flowersweep.progress import progress
from flowersweep.texts import as_text, counted

COMMAND = Command(
    name="predict",
    about="Classify pictures, with a run's model in this process or on a server.",
    arguments=(
        Argument(
            "images",
            "a picture, a folder (including sub-folders), or - for paths on stdin; may be given several times",
            "PATH",
            required=True,
            several=True,
        ),
        *CHOICE_ARGUMENTS,
        Argument("url", "a server with this model, for example http://127.0.0.1:5001", "URL"),
        Argument("format", "output format", default="table", choices=FORMATS),
        Argument("top", "number of classes to show for each picture", "N", default="3"),
        BATCH_SIZE,
        Argument("output", "a file for the output instead of standard output", "FILE"),
        OVERWRITE,
    ),
    example="python -m flowersweep predict flower.jpg more_flowers",
    positional="images",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 if pictures could not be read, or 2 for bad input."""
    return COMMAND.run(_predict, arguments)


def _predict(values: Mapping[str, str | None]) -> int:
    batch_size, top = whole_number(values, "batch_size"), whole_number(values, "top")
    output = output_path(values)
    paths = find_pictures(values_of(values, "images"), sys.stdin)
    choice = chosen(values)
    print_line(f"Using {choice.about}.", stderr_console())
    predictor = _predictor(values["url"], choice, min(batch_size, len(paths)))
    with _stream(output, overwrite=values["overwrite"] == "true") as stream:
        unreadable = _write_all(
            predictor, choice, paths, stream, kind=str(values["format"]), top=top, batch_size=batch_size
        )
    if unreadable:
        print_notice(f"{unreadable} of {counted(len(paths), 'picture')} could not be read.")
    return EXIT_FAILED if unreadable else 0


def _predictor(url: str | None, choice: Choice, batch_size: int) -> Predictor:
    if url is not None:
        return RemotePredictor(url, len(choice.info.class_names))
    return LocalPredictor(choice, batch_size)


def _write_all(
    predictor: Predictor,
    choice: Choice,
    paths: Sequence[Path],
    stream: TextIO,
    *,
    kind: str,
    top: int,
    batch_size: int,
) -> int:
    """Predict in batches; return the number of pictures that could not be read."""
    class_names, names = choice.info.class_names, [as_text(path) for path in paths]
    unreadable = 0
    with (
        _bar(len(paths), stream) as advance,
        open_writer(kind, stream, names, class_names, top) as write,
    ):
        for batch in batches(paths, choice.info.size, batch_size, choice.info.resizing):
            for sentence in batch.unreadable:
                print_notice(sentence)
            unreadable += len(batch.unreadable)
            if batch.positions:
                for position, row in zip(batch.positions, predictor(batch.images), strict=True):
                    write(names[position], top_classes(row, class_names, top))
            advance(len(batch))
    return unreadable


@contextmanager
def _stream(output: Path | None, *, overwrite: bool) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with draft(output, overwrite=overwrite) as part, part.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _bar(total: int, stream: TextIO) -> AbstractContextManager[Callable[[int], None]]:
    """A progress bar, unless the predictions are printed on the terminal."""
    return nullcontext(lambda _count: None) if stream.isatty() else progress("Predicting", total)
