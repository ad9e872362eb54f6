"""Which modules the machine allows to import: a configuration names code, but never allows it (docs/decisions/0012)."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import platformdirs

from flowersweep.errors import ConfigError
from flowersweep.texts import expanded

# Modules, or paths of their files or folders, separated by commas; a comma in a path has a backslash before it.
VARIABLE = "FLOWERSWEEP_ALLOW"


def allow_file() -> Path:
    """The file of this machine's user with one module or path a line."""
    return platformdirs.user_config_path("flowersweep") / "allow.txt"


def keep_places() -> None:
    """Make the paths in the environment variable absolute: this or another process may change its current directory."""
    if VARIABLE in os.environ:
        os.environ[VARIABLE] = as_variable(
            str(Path.cwd() / expanded(entry)) if _is_path(entry) else entry for entry in given_entries()
        )


def permitted() -> dict[str, Path | None]:
    """The allowed modules, each with the file or folder that it is read from; None for one that Python finds by itself.

    Relative paths refer to the current directory or, in the file, to the folder of the file.

    Raises:
        ConfigError: The file cannot be read.
    """
    file = allow_file()
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); correct it, or remove it.") from error
    listed = [(line.partition("#")[0].strip(), file.parent) for line in lines]
    given = [(entry, Path.cwd()) for entry in given_entries()]
    found: dict[str, Path | None] = {}
    for entry, folder in (*given, *listed):
        if _is_path(entry):
            path = (folder / expanded(entry)).resolve()
            found.setdefault(path.stem if path.suffix == ".py" else path.name, path)
        elif entry:
            found.setdefault(entry, None)
    return found


def given_entries() -> list[str]:
    """The modules and paths in the environment variable."""
    entries = re.split(r"(?<!\\),", os.environ.get(VARIABLE, ""))
    return [entry.strip().replace("\\,", ",") for entry in entries if entry.strip()]


def as_variable(entries: Iterable[str]) -> str:
    """Modules and paths as the value of the environment variable."""
    return ",".join(entry.replace(",", "\\,") for entry in entries)


def refuse_environment(job: Any) -> None:
    """Refuse a configuration that sets environment variables, which say what this and other programs may run.

    Args:
        job: The node `hydra.job`.

    Raises:
        ConfigError: It sets a variable; `env_copy` only keeps the value that one has.
    """
    names = [str(name) for name in job.env_set if name not in job.env_copy]
    if names:
        raise ConfigError(
            f"hydra.job.env_set sets {', '.join(names)}, but the environment is not part of a configuration, because it also says "
            f"which code may run; remove hydra.job.env_set, and set {'it' if len(names) == 1 else 'them'} before the command, as in "
            f"'export {names[0]}=VALUE'."
        )


def _is_path(entry: str) -> bool:
    return "/" in entry or os.sep in entry or entry.endswith(".py") or entry.startswith(("~", "."))
