"""`flowersweep join study=NAME storage=URL`: run trials of a study that was started on another machine.

It is the command of the sweep with this machine's locations and `hydra.sweeper.join=true`.
"""

import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flowersweep.commands.parsing.arguments import Argument, Command
from flowersweep.commands.study.opened import DIRECTORY, STORAGE, STUDY, opened_study
from flowersweep.console import print_notice
from flowersweep.errors import SweepError

if TYPE_CHECKING:
    from optuna import Study

# What runs a sweep of flowersweep itself, see `flowersweep.hydra_app`.
PROGRAM = "flowersweep.hydra_app"

_PLACES = (
    DIRECTORY,
    Argument("tracking.uri", "MLflow's tracking URI, as of the sweep", "URI"),
    Argument("data.dir", "the folder of the pictures on this machine, if it is another one", "DIR"),
    Argument("model.weights", "the file of the weights on this machine, if it is another one", "FILE"),
    Argument("data.split_file", "the file of the split on this machine, if it is another one", "FILE"),
    Argument("paths.cache", "the cache folder of this machine", "DIR"),
    Argument("paths.checkpoints", "the folder of checkpoints, if machines share one", "DIR"),
)
# The keys of a sweep's command that concern its own machine, and are not used on others.
_OF_THE_SWEEPER = (
    "hydra.mode",
    "hydra.sweeper.storage",
    "hydra.sweeper.study_name",
    "hydra.sweeper.on_mismatch",
    "hydra.sweeper.n_jobs",
    "hydra.sweeper.timeout",
    "hydra.sweep",
    "hydra.launcher",
    "cluster",
    "tracking.dir",
    "paths",
)

# What quotes do not keep as it is.
_NOT_LITERAL = re.compile(r"['\\]|\$\{")

COMMAND = Command(
    name="join",
    about="Run trials of a sweep that was started elsewhere: with its configuration, on this machine's pictures, until its "
    "budget is spent. Ctrl-C gives the trials back, and the sweep goes on without this machine.",
    arguments=(
        STUDY,
        STORAGE,
        Argument("n_jobs", "workers on this machine", "N", default="1"),
        *_PLACES,
    ),
    example="python -m flowersweep join study=cnn storage=postgresql+psycopg://USER@HOST/NAME "
    "tracking.uri=http://HOST:5000",
    positional="study",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Join a sweep: this process becomes that of its command.

    Args:
        arguments: `name=value` each; None for those of the process.

    Returns:
        The exit code: 0 if the study is finished, 2 for bad input.
    """
    return COMMAND.run(_join, arguments)


def _join(values: Mapping[str, str | None]) -> int:
    from flowersweep.sweep.status import counts, is_finished

    command, finished = [], ""
    with opened_study(values) as study:
        if is_finished(study):
            finished = (
                f"The study {study.study_name!r} is finished ({counts(study)}); there is nothing to run."
            )
        else:
            command = [sys.executable, "-m", "flowersweep", *arguments_of(study, values, time.time())]
    if command:
        os.execv(sys.executable, command)  # noqa: S606 - this interpreter and this package
    print_notice(finished)
    return 0


def arguments_of(study: "Study", values: Mapping[str, str | None], now: float) -> list[str]:
    """The arguments of the command that joins a study.

    Args:
        study: The study.
        values: The values of this command.
        now: Seconds since the epoch.

    Raises:
        SweepError: The study was not started by this program or this version of it, or its time is up.
    """
    from flowersweep.sweep.study import attributes
    from flowersweep.sweep.study.study import refuse_other_version

    kept = study.user_attrs.get(attributes.COMMAND)
    if kept is None or kept["program"] != PROGRAM:
        raise SweepError(
            f"The study {study.study_name!r} was not started by this version of flowersweep's own command; "
            "run the program that started it on this machine, too, with hydra.sweeper.join=true."
        )
    refuse_other_version(study)
    deadline = kept["deadline"]
    if deadline is not None and deadline <= now:
        raise SweepError(
            f"The time of the study {study.study_name!r} is up; start its sweep again, and then join it."
        )
    places = {one.name: _quoted(given) for one in _PLACES if (given := values[one.name]) is not None}
    dropped = (*_OF_THE_SWEEPER, *places)
    ours = {
        "hydra.sweeper.study_name": _quoted(study.study_name),
        "hydra.sweeper.storage": None if values["storage"] is None else _quoted(values["storage"]),
        "hydra.sweeper.n_jobs": values["n_jobs"],
        "hydra.sweeper.timeout": None if deadline is None else f"{deadline - now:.0f}",
        "hydra.sweeper.join": "true",
        **places,
    }
    return [
        "--multirun",
        *(one for one in kept["arguments"] if not _is_among(one, dropped)),
        *(f"{key}={value}" for key, value in ours.items() if value is not None),
    ]


def _is_among(argument: str, keys: Sequence[str]) -> bool:
    key = argument.lstrip("+~").partition("=")[0].replace("/", ".")
    return any(f"{key}.".startswith(f"{one}.") for one in keys)


def _quoted(value: str) -> str:
    """A text for Hydra, in quotes where it needs any, so that an address keeps the form by which its password is found."""
    from flowersweep.sweep.space.values import parses_to, text_of

    text = text_of(value)
    if text == value or _NOT_LITERAL.search(value):
        return text
    # Hydra removes blanks around a value without quotes.
    is_bare = value == value.strip() and parses_to(value, value)
    return value if is_bare else f"'{value}'"
