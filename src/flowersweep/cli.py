"""The command line: a command of `flowersweep.commands`, otherwise a training run or a sweep through Hydra.

Imports that need packages are deferred: `flowersweep doctor` works where they are missing, and `--help` starts fast.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from flowersweep.commands import COMMANDS, module_of
from flowersweep.errors import EXIT_BAD_INPUT, missing_packages

# Commands that work without the packages of the extra `keras`.
_WITHOUT = {"doctor", "cache", "completion", "help", "status", "stop"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script and of `python -m flowersweep`.

    Args:
        arguments: As on the command line; None for those of the process. A training run or a sweep always uses those of the
            process, because Hydra reads them there.

    Returns:
        The exit code: 0; 1 for a run that failed; 2 for bad input; 128 + signal number for an interruption.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not _WITHOUT & set(given[:1]) and not {"--help", "-h"} & set(given) and (said := missing_packages()):
        from flowersweep.console import print_notice

        print_notice(said)
        return EXIT_BAD_INPUT
    if given and given[0] in COMMANDS:
        return int(import_module(module_of(given[0])).main(given[1:]))
    if {"--help", "-h"} & set(given):
        from flowersweep.commands.help import for_run

        return for_run(given)
    from flowersweep.hydra_app import run

    return run()
