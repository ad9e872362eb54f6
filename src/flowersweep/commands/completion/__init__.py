"""`flowersweep completion`: completion with the TAB key in a shell. Does not import TensorFlow, so it is fast.

Groups and keys come from Hydra's completion. This module adds the allowed values of a key, the lists of sweeps, quoted
words, and the commands that are not Hydra applications.
"""

import argparse
import dataclasses
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowersweep import config
from flowersweep.commands import COMMANDS, module_of
from flowersweep.commands.help import topics
from flowersweep.commands.parsing.arguments import Command, exit_code
from flowersweep.doors.hydra_api import completions
from flowersweep.fields import RULE_KEY

PROGRAM = "flowersweep"
# Commands that take the overrides of a run, and those with their own arguments.
WITH_OVERRIDES = ("doctor", "inspect", "layers")
WITH_ARGUMENTS = (
    "ensemble",
    "evaluate",
    "export",
    "help",
    "join",
    "predict",
    "promote",
    "report",
    "status",
    "stop",
    "ui",
)

_SCRIPT = Path(__file__).with_name("script.bash")
_LINE = "COMP_LINE"  # the shell's variable with the command line up to the cursor
_FLAGS = {
    PROGRAM: ("--cfg ", "--help ", "--info ", "--multirun ", "--resolve "),
    "doctor": ("--fix ", "--help ", "--json ", "--multirun "),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the shell script, or the candidates for the command line in COMP_LINE.

    Args:
        arguments: Arguments as on the command line; None for those of the process.

    Returns:
        The exit code, 0.
    """
    parser = argparse.ArgumentParser(
        prog="flowersweep completion",
        description="Print a bash script that completes flowersweep's commands with the TAB key.",
        epilog='example: eval "$(python -m flowersweep completion)"',
    )
    parser.add_argument(
        "what", nargs="?", choices=["bash", "query"], default="bash", help="query is used by the script"
    )
    return exit_code(lambda: _print(parser.parse_args(arguments).what))


def _print(what: str) -> int:
    if what == "query":
        sys.stdout.writelines(f"{one}\n" for one in candidates(os.environ.get(_LINE, "")))
    else:
        sys.stdout.write(_SCRIPT.read_text(encoding="utf-8"))
    return 0


def candidates(line: str) -> list[str]:
    """The candidates for the last word of a command line.

    Args:
        line: The line up to the cursor, for example "flowersweep aug=Rand" or "python -m flowersweep report stu".

    Returns:
        Complete words, sorted. A finished word ends with a space; one that continues (a key, a list in a sweep) does not.
    """
    try:
        words = shlex.split(line)
    except ValueError:  # a quote is still open
        return []
    current = words.pop() if words and not line[-1].isspace() else ""
    if _is_python(words):
        words = words[2:]
        if not words:
            return [f"{PROGRAM} "] if PROGRAM.startswith(current) else []
    if not words or words[0].rpartition("/")[2] != PROGRAM:
        return []
    name, earlier = PROGRAM, words[1:]
    if earlier and earlier[0] in COMMANDS:
        name, *earlier = earlier
    if current.startswith("-"):
        return [flag for flag in _FLAGS.get(name, ("--help ",)) if flag.startswith(current)]
    if name == PROGRAM or name in WITH_OVERRIDES:
        commands = () if earlier or name != PROGRAM else COMMANDS
        offered = (f"{command} " for command in commands if command.startswith(current))
        return sorted([*offered, *_overrides(current, earlier)])
    return sorted(_arguments(name, current)) if name in WITH_ARGUMENTS else []


def _is_python(words: Sequence[str]) -> bool:
    """Distinguish "python3 -m ..." from the -m of flowersweep, which is short for --multirun."""
    return len(words) >= 2 and words[1] == "-m" and bool(re.fullmatch(r"(.*/)?python[\d.]*", words[0]))


def _arguments(name: str, current: str) -> Iterator[str]:
    """Arguments and choices of a command that declares them, or what `help` explains."""
    if name == "help":
        yield from (f"{topic} " for topic in topics() if topic.startswith(current))
        return
    command: Command = import_module(module_of(name)).COMMAND
    for one in command.arguments:
        whole = [f"{one.name}={choice} " for choice in one.choices] if "=" in current else [f"{one.name}="]
        yield from (word for word in whole if word.startswith(current))


def _overrides(current: str, earlier: Sequence[str]) -> Iterator[str]:
    """Groups, choices, keys and values of a run."""
    multirun = any(word in {"-m", "--multirun"} for word in earlier)
    # choice(...), interval(...) and similar values cannot be composed; the default of the key is used instead.
    fixed = [_last_of_list(word) for word in earlier if "=" in word and not {" ", "("} & set(word)]
    key, equals, value = current.partition("=")
    if value.startswith(("/", ".", "~")):
        return  # the shell completes paths by itself
    before, comma, last = value.rpartition(",")  # aug=none,RandomFlip,Rand
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        offered = _values(loader, key, last, fixed) if equals else _names(loader, key, fixed)
    end = "" if multirun or comma else " "
    taken = before.split(",")
    for one in offered:
        if not equals:
            yield one
        elif one not in taken:
            yield f"{key}={before}{comma}{one}{end}"


def _last_of_list(word: str) -> str:
    """The last value of a swept group or key such as aug=none,RandomFlip, which can be composed."""
    key, _, value = word.partition("=")
    return word if "[" in value else f"{key}={value.rpartition(',')[2]}"


def _names(loader: ConfigLoader, key: str, fixed: list[str]) -> list[str]:
    """Groups (which end with "=") and keys that start with a text; those of Hydra only if the text is not empty."""
    found = _hydra(loader, key, fixed)
    return [one for one in found if not one.startswith("schema") and (key or not one.startswith("hydra"))]


def _values(loader: ConfigLoader, key: str, value: str, fixed: list[str]) -> list[str]:
    """Choices of a group, or the allowed values of a key, or else its current value."""
    legal = list(_legal(loader, key, fixed))
    if legal:
        return [one for one in legal if one.startswith(value)]
    return [
        one.removeprefix(f"{key}=") for one in _hydra(loader, f"{key}={value}", fixed) if one.startswith(key)
    ]


def _legal(loader: ConfigLoader, key: str, fixed: list[str]) -> Iterator[str]:
    """The allowed values of a key, if they are limited."""
    parent, _, leaf = key.rpartition(".")
    if not parent:
        return
    try:
        composed = loader.load_configuration(config_name="config", overrides=fixed, run_mode=RunMode.RUN)
        node = OmegaConf.select(composed, parent)
    except (HydraException, OmegaConfBaseException):
        return
    shape = OmegaConf.get_type(node) if isinstance(node, DictConfig) else None
    fields = dataclasses.fields(shape) if dataclasses.is_dataclass(shape) else ()
    for field in fields:
        if field.name == leaf:
            yield from _choices(field)


def _choices(field: "dataclasses.Field[Any]") -> Sequence[str]:
    rule = field.metadata.get(RULE_KEY)
    return ("false", "true") if field.type is bool else rule.choices if rule is not None else ()


def _hydra(loader: ConfigLoader, word: str, fixed: list[str]) -> list[str]:
    """The candidates of Hydra's completion for a word after others; empty if these cannot be composed."""
    try:
        return completions(loader, [*fixed, word])
    except (HydraException, OmegaConfBaseException):
        return []
