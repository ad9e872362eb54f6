"""The provenance of a run: the commit, the package versions, the machine and the command."""

import argparse
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath

from flowersweep.hardware import available_processors

PACKAGES = ("tensorflow", "keras", "numpy", "hydra-core", "omegaconf", "optuna", "mlflow", "flowersweep")

_CHECKOUT = Path(__file__).parents[3]
_GIT_SECONDS = 10


def provenance(checkout: Path = _CHECKOUT, command: str | None = None) -> dict[str, str]:
    """Return all provenance as a flat mapping with dotted keys and text values.

    Keys are `git.commit` and `git.dirty` (absent outside a checkout), `version.PACKAGE` for each of PACKAGES that is
    installed, `host.name`, `host.cpus`, `host.platform`, `host.python` and `command`.

    Args:
        checkout: The folder of the project.
        command: The command as it was typed; None for the command line of this process.
    """
    return {
        **{f"git.{key}": value for key, value in git_state(checkout).items()},
        **{f"version.{name}": number for name, number in package_versions().items()},
        **host(),
        "command": command_line() if command is None else command,
    }


def git_state(checkout: Path = _CHECKOUT) -> dict[str, str]:
    """Return `commit` (40 hex digits) and `dirty` ("true" or "false") of a checkout.

    Empty if the folder is not the top of a Git checkout, so that an installed copy does not report the commit of
    the project in whose environment it is installed; also empty without Git, or before the first commit.
    """
    top = _git(checkout, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != checkout.resolve():
        return {}
    commit, changes = _git(checkout, "rev-parse", "HEAD"), _git(checkout, "status", "--porcelain")
    if commit is None or changes is None:
        return {}
    return {"commit": commit, "dirty": "true" if changes else "false"}


def own_version() -> str | None:
    """The version of flowersweep; None in a checkout that is not installed."""
    return package_versions(("flowersweep",)).get("flowersweep")


def package_versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of those packages that are installed, without importing them."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except (
            PackageNotFoundError
        ):  # flowersweep itself, when it runs from a checkout that was not installed
            continue
    return found


def host() -> dict[str, str]:
    """Return the machine's name, the CPUs this process may use, the platform, and the Python version."""
    return {
        "host.name": platform.node(),
        "host.cpus": str(available_processors()),
        "host.platform": platform.platform(),
        "host.python": platform.python_version(),
    }


def command_line(arguments: Sequence[str] | None = None) -> str:
    """Return a command as one line that can be pasted into a shell.

    Args:
        arguments: The interpreter or program, then its arguments; None for the command line of this process.
    """
    program, *rest = list(arguments) if arguments is not None else list(sys.orig_argv)
    name = PurePath(program).name
    if name.startswith("python"):
        name = "python"
        if rest and PurePath(rest[0]).parent == PurePath(program).parent != PurePath():
            # `flowersweep` installed next to the interpreter appears as "python /folder/flowersweep".
            name, rest = PurePath(rest[0]).name, rest[1:]
    return shlex.join([name, *rest])


def program() -> str:
    """Return the command line of this process as in "python train.py", with only the arguments that say where its configuration is."""
    name, *arguments = sys.argv
    start = len(sys.orig_argv) - len(arguments)
    is_typed = start > 0 and sys.orig_argv[start:] == arguments  # not in a notebook
    return command_line([*(sys.orig_argv[:start] if is_typed else ["python", name]), *_files(arguments)])


def _files(arguments: Sequence[str]) -> list[str]:
    """The arguments of Hydra that name files of a configuration."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    for flags in (("--config-path", "-cp"), ("--config-name", "-cn"), ("--config-dir", "-cd")):
        parser.add_argument(*flags)
    typed, others = parser.parse_known_args(arguments)
    found = [f"--{key.replace('_', '-')}={value}" for key, value in vars(typed).items() if value is not None]
    return [*found, *(one for one in others if one.lstrip("+").startswith("hydra.searchpath="))]


def _git(folder: Path, *arguments: str) -> str | None:
    # In a Git hook these variables would select another repository.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        result = subprocess.run(  # noqa: S603 - the arguments come from this module
            command, capture_output=True, text=True, check=False, timeout=_GIT_SECONDS, env=clean
        )
    except (OSError, subprocess.TimeoutExpired):  # no Git, or a folder on a drive that does not answer
        return None
    return result.stdout.strip() if result.returncode == 0 else None
