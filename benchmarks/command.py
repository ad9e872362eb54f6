"""Common parts of the commands in this folder: arguments, a folder for caches, and the table."""

import argparse
import datetime as dt
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.contest import Line, cells, head, row

BATCH_SIZE = 128


@dataclass(frozen=True)
class Options:
    """The options of the command line.

    Attributes:
        data: Folder with one sub-folder per class.
        weights: The weights of MobileNetV2: "imagenet", or a `.weights.h5` without its top.
        folder: The folder of caches and results; deleted at the end unless it was given.
        rounds: Number of measurements of each contestant; None for the default of the contest.
        epochs: Maximum number of epochs of each training; None for the default of the contest.
        trials: Number of trials of a sweep; None for the default of the contest.
        size: Side length of the pictures in pixels.
        onednn_off: Also measure plain Keras without oneDNN, the default of TensorFlow on CPUs without AVX-512.
    """

    data: Path
    weights: str
    folder: Path
    rounds: int | None
    epochs: int | None
    trials: int | None
    size: int
    onednn_off: bool

    @property
    def cache(self) -> Path:
        """Decoded pictures, converted prefixes and features."""
        return self.folder / "cache"

    def forget_features(self) -> None:
        """Delete the features of the bank, but not decoded pictures and converted prefixes."""
        shutil.rmtree(self.cache / "features", ignore_errors=True)


Contest = Callable[[Options], Iterable[Line]]


def main(description: str | None, contests: Mapping[str, Contest]) -> None:
    """Run the contests selected on the command line, and print the lines of each one when it ends.

    Args:
        description: The description for --help.
        contests: The contests by their name for --only.
    """
    given = _parser(description, contests).parse_args()
    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        options = Options(
            data=_folder(given.data),
            weights=given.weights if given.weights == "imagenet" else str(_file(Path(given.weights))),
            folder=folder.absolute(),
            rounds=given.rounds,
            epochs=given.epochs,
            trials=given.trials,
            size=given.size,
            onednn_off=given.onednn_off,
        )
        folders = {str(given.data): "PATH/flower_photos", str(given.weights): "PATH.weights.h5"}
        command = shlex.join(folders.get(argument, argument) for argument in sys.argv)
        for text in [*_preamble(options, command), "", head(markdown=given.markdown)]:
            print(text, flush=True)
        for name in given.only or contests:
            for result in contests[name](options):
                print(row(cells(result), markdown=given.markdown), flush=True)


def machine() -> dict[str, str]:
    """The machine and the versions on which the values depend."""
    packages = ("tensorflow", "keras", "numpy", "flowersweep")
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
        ),
    }


def _preamble(options: Options, command: str) -> list[str]:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return [
        f"{dt.datetime.now().astimezone():%Y-%m-%d %H:%M}{load}",
        *machine().values(),
        f"batch {BATCH_SIZE}, {options.size} px; `python {command}`",
    ]


def _processor() -> str:
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8", errors="replace").splitlines() if cpus.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _parser(description: str | None, contests: Mapping[str, Contest]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = "default: that of the contest"
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help="folder of flower_photos")
    parser.add_argument(
        "--weights",
        default="imagenet",
        metavar="PATH",
        help="MobileNetV2's .weights.h5 without its top; downloaded by Keras by default",
    )
    parser.add_argument("--rounds", type=_count, metavar="N", help=f"measurements of each contestant; {own}")
    parser.add_argument("--epochs", type=_count, metavar="N", help=f"epochs of a training, at most; {own}")
    parser.add_argument("--trials", type=_count, metavar="N", help=f"trials of a sweep; {own}")
    parser.add_argument("--size", type=_count, default=180, metavar="N", help="pixels; default: 180")
    parser.add_argument("--only", action="append", choices=list(contests), help="may be repeated")
    parser.add_argument(
        "--onednn-off", action="store_true", help="also measure plain Keras without oneDNN: slow"
    )
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="folder for caches and results")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer from 1, but is {text!r}")
    return int(text)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        sys.exit(f"--data must be a folder with one sub-folder per class, but {path} is not a folder.")
    return path.absolute()


def _file(path: Path) -> Path:
    if not path.is_file():
        sys.exit(f"--weights must be imagenet or a .weights.h5 file, but {path} is not a file.")
    return path.absolute()
