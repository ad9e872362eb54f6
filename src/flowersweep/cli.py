"""The command line: a command of `flowersweep.commands`, otherwise a training run or a sweep through Hydra.

Imports that need packages are deferred: `flowersweep doctor` works where they are missing, and `--help` starts fast.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from flowersweep import streams
from flowersweep.commands import COMMANDS, module_of
from flowersweep.console import print_notice
from flowersweep.errors import EXIT_BAD_INPUT, missing_home, missing_packages
from flowersweep.texts import nearest

# Commands that work without the packages of the extra `keras` and without a home folder.
_WITHOUT = {"doctor", "cache", "completion", "help", "status", "stop"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script and of `python -m flowersweep`.

    Args:
        arguments: As on the command line; None for those of the process. A training run or a sweep always uses those of the
            process, because Hydra reads them there.

    Returns:
        The exit code: 0; 1 for a run that failed; 2 for bad input; 128 + signal number for an interruption.
    """
    streams.prepare()
    try:
        return _main(sys.argv[1:] if arguments is None else list(arguments))
    finally:
        streams.settle(sys.stdout)


def _main(given: Sequence[str]) -> int:
    needs_all = not _WITHOUT & set(given[:1]) and not {"--help", "-h"} & set(given)
    if needs_all and (said := missing_packages() or missing_home()):
        print_notice(said)
        return EXIT_BAD_INPUT
    if given and given[0] in COMMANDS:
        return int(import_module(module_of(given[0])).main(given[1:]))
    if {"--help", "-h"} & set(given):
        from flowersweep.commands.help import for_run

        return for_run(given)
    is_word = bool(given) and given[0][:1].isalpha() and "=" not in given[0]
    if is_word and (meant := nearest(given[0], COMMANDS)):
        print_notice(f"There is no command {given[0]!r}; --help lists all.{meant}")
        return EXIT_BAD_INPUT
    from flowersweep.hydra_app import run

    return run()
