"""`flowersweep stop study=NAME`: stop a sweep on all its machines, from any of them."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flowersweep.commands.parsing.arguments import Command
from flowersweep.commands.study.opened import DIRECTORY, STORAGE, STUDY, opened_study
from flowersweep.commands.study.status import listing
from flowersweep.console import print_notice
from flowersweep.errors import EXIT_FAILED
from flowersweep.texts import counted, plain_console

if TYPE_CHECKING:
    from optuna import Study

WAIT_SECONDS = 45.0
LOOK_SECONDS = 0.5

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
    from flowersweep.sweep.stop_message import write_stop

    with opened_study(values) as study:
        write_stop(study, "flowersweep stop")
        n_running = _n_running_after_wait(study)
        listing(study, time.time()).show(plain_console())
    if n_running:
        verb = "does" if n_running == 1 else "do"
        print_notice(
            f"{counted(n_running, 'worker')} {verb} not respond; a trial is run again when its worker was silent for ten minutes."
        )
        return EXIT_FAILED
    return 0


def _n_running_after_wait(study: "Study") -> int:
    """Wait until no trial is running; those of dead workers wait again."""
    from optuna.trial import TrialState

    from flowersweep.sweep.study.reclaim import reclaim

    until = time.monotonic() + WAIT_SECONDS
    while True:
        reclaim(study)
        n_running = len(study.get_trials(deepcopy=False, states=[TrialState.RUNNING]))
        if not n_running or time.monotonic() >= until:
            return n_running
        time.sleep(LOOK_SECONDS)
