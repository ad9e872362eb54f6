"""Trainings in processes of their own, which a test may kill; TensorFlow is imported once for all of them."""

import multiprocessing
import os
import sys
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["keras", "mlflow", "flowersweep.hydra_app", "flowersweep.training.run"])


def exit_code(arguments: list[str], environment: dict[str, str], output: Path) -> int:
    """The exit code of `python -m flowersweep` with these arguments; minus the signal that ended it."""
    process = _context.Process(target=_command, args=(arguments, environment, output))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _command(arguments: list[str], environment: dict[str, str], output: Path) -> None:
    with output.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    sys.argv[:] = ["flowersweep", *arguments]
    from flowersweep.cli import main

    sys.exit(main())
