"""`flowersweep stop study=NAME`: stop a sweep on all its machines, from any of them."""

import time
from collections.abc import Mapping, Sequence

from flowersweep.commands.parsing.arguments import Command
from flowersweep.commands.study.opened import DIRECTORY, STORAGE, STUDY, opened_study
from flowersweep.commands.study.status import listing
from flowersweep.console import plain_console, print_notice
from flowersweep.errors import EXIT_FAILED

COMMAND = Command(
    name="stop",
    about="Stop a sweep, as Ctrl-C does where it was started: within 30 seconds, every worker on every machine gives its "
    "trial back. The command of the sweep resumes it.",
    arguments=(STUDY, STORAGE, DIRECTORY),
    example="python -m flowersweep stop study=cnn storage=postgresql+psycopg://USER@HOST/NAME",
    positional="study",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Stop a sweep, and wait for its workers.

    Args:
        arguments: `name=value` each; None for those of the process.

    Returns:
        The exit code: 0; 1 if workers do not respond; 2 for bad input.
    """
    return COMMAND.run(_stop, arguments)


def _stop(values: Mapping[str, str | None]) -> int:
    from flowersweep.sweep.status import stop

    with opened_study(values) as study:
        silent = stop(study, "flowersweep stop")
        listing(study, time.time()).show(plain_console())
    if silent:
        print_notice(silent)
        return EXIT_FAILED
    return 0
