"""`flowersweep status study=NAME`: which workers run a sweep, on which machines, and how far it is."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flowersweep.commands.parsing.arguments import Command
from flowersweep.commands.study.opened import DIRECTORY, STORAGE, STUDY, opened_study
from flowersweep.console import plain_console
from flowersweep.tables import Listing

if TYPE_CHECKING:
    from optuna import Study

COMMAND = Command(
    name="status",
    about="Show the trials that workers are running, on whatever machine, and how many trials are done. Workers give a "
    "sign of life every minute; the trial of one that is silent for ten minutes is run by another one.",
    arguments=(STUDY, STORAGE, DIRECTORY),
    example="python -m flowersweep status study=cnn storage=postgresql+psycopg://USER@HOST/NAME",
    positional="study",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the status.

    Args:
        arguments: `name=value` each; None for those of the process.

    Returns:
        The exit code: 0, or 2 for bad input.
    """
    return COMMAND.run(_status, arguments)


def _status(values: Mapping[str, str | None]) -> int:
    with opened_study(values) as study:
        listing(study, time.time()).show(plain_console())
    return 0


def listing(study: "Study", now: float) -> Listing:
    """The running trials of a study as a table.

    Args:
        study: The study.
        now: Seconds since the epoch.
    """
    from flowersweep.sweep.status import ago, counts, in_words, running_trials

    rows = [
        (
            one.host,
            one.pid,
            str(one.trial),
            one.step,
            "dead; another worker takes the trial" if one.is_lost else ago(one.seconds),
        )
        for one in running_trials(study, now)
    ]
    return Listing(
        headings=("host", "process", "trial", "epoch", "last sign of life"),
        rows=rows,
        title=f"Study {study.study_name}: {counts(study)}",
        right=("process", "trial", "epoch"),
        wrapping=("last sign of life",),
        caption=in_words(study, now),
    )
