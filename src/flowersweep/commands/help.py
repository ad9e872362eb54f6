"""`flowersweep --help` and `flowersweep help NAME`: what can be run and set. Does not import TensorFlow or Optuna."""

import argparse
import inspect
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from flowersweep.commands import COMMANDS
from flowersweep.commands.parsing.arguments import exit_code
from flowersweep.config.describe import Choice, Group, Key, groups, keys_of, single_keys
from flowersweep.errors import ConfigError
from flowersweep.sweep.schema import PRUNERS, AutoSamplerConf, StudySweeperConf
from flowersweep.sweep.search import options
from flowersweep.texts import choose_one_of, expanded, nearest

MAX_WIDTH = 100
RUN = "python -m flowersweep"
EXAMPLES = {
    f"{RUN} model=cnn aug=RandomFlip": "train one model",
    f"{RUN} data=folder data.dir=PATH": "on your own pictures, one sub-folder per class",
    f"{RUN} data=demo trainer=quick": "on synthetic flowers, without pictures and network",
    f"{RUN} --multirun data=demo trainer=quick aug=none,RandomFlip": "a sweep: train with each of them",
    f"{RUN} report": "what the sweep has shown",
}
FLAGS = {
    "--multirun, -m": "run a sweep",
    "--cfg job": "print the configuration that would run",
    "--info defaults": "print the files that it is composed of",
    "--config-dir DIR": "add your own groups and presets",
    "--hydra-help": "explain Hydra's other flags",
}
SEARCHED = {
    "aug=none,RandomFlip": "each of several values",
    "'trainer.batch_size=range(32,129,32)'": "numbers in steps",
    "'model.dropout=interval(0,0.6)'": "any number; needs hydra.sweeper.n_trials",
    "'optimizer.learning_rate=tag(log,interval(1e-4,1e-1))'": "the same on a logarithmic scale",
}
_SAMPLERS = "hydra/sweeper/sampler"
_REMOVED = {"motpe"}  # from Optuna; the official sweeper still lists it, to say so


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the help.

    Args:
        arguments: A name to explain, or nothing; None for those of the process.

    Returns:
        The exit code: 0, or 2 for an unknown name.
    """
    parser = argparse.ArgumentParser(
        prog="flowersweep help",
        description="List commands, groups and settings of sweeps, or explain one of them.",
        epilog="examples: python -m flowersweep help trainer; python -m flowersweep help trainer.epochs; "
        "python -m flowersweep help aug=RandomZoom; python -m flowersweep help sampler",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a group, a choice, a key or a command")
    parser.add_argument(
        "-cd", "--config-dir", metavar="DIR", help="a folder with your own groups and presets"
    )
    return exit_code(lambda: _show(*_read(parser, arguments)))


def for_run(arguments: Sequence[str]) -> int:
    """As `main`, for a run's command line with --help, whose other flags do not matter."""
    names = [one for one in arguments if one not in {"--help", "-h", "--multirun", "-m"}]
    return main(names)


def topics() -> list[str]:
    """The names that can be explained, without choices and keys."""
    return [*(group.name for group in groups()), "objective", "seed", "sweeper", "sampler", "pruner"]


def _read(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> tuple[list[str], list[Path]]:
    given = parser.parse_args(arguments)
    return given.names, [expanded(given.config_dir)] if given.config_dir else []


def _show(names: Sequence[str], folders: Sequence[Path]) -> int:
    everything = [*groups(*folders), *_of_sweeps()]
    lines = [line for name in names for line in _topic(name, everything)] if names else _overview(everything)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _of_sweeps() -> list[Group]:
    """The settings of sweeps in the form of groups."""
    store = ConfigStore.instance()
    names = [file.removesuffix(".yaml") for file in store.list(_SAMPLERS)]
    nodes = {name: store.load(f"{_SAMPLERS}/{name}.yaml").node for name in names if name not in _REMOVED}
    samplers: dict[str, Any] = {
        "auto": AutoSamplerConf,
        **{name: OmegaConf.get_type(node) for name, node in nodes.items()},
    }
    pruners = tuple(
        Choice(one, _first_line(node), tuple(keys_of(node, "hydra.sweeper.pruner.")))
        for one, node in PRUNERS.items()
    )
    keys = tuple(key for key in keys_of(StudySweeperConf, "hydra.sweeper.") if key.about)
    return [
        Group(
            _SAMPLERS,
            "what suggests the values of a trial",
            "auto",
            tuple(_sampler(one, node) for one, node in samplers.items()),
        ),
        Group("hydra/sweeper/pruner", "what stops bad trials early", "none", pruners),
        Group("hydra.sweeper", "how much is searched, and how", "", (Choice("", "", keys),)),
    ]


def _sampler(name: str, node: type[object]) -> Choice:
    """A sampler with the options that have an effect, and the values that these have if they are not set."""
    keys = []
    for key in keys_of(node, "hydra.sweeper.sampler."):
        option = key.name.rpartition(".")[2]
        if option in options.OPTIONS and (name, option) != ("grid", "seed"):
            default = options.DEFAULTS.get(option, key.default)
            keys.append(replace(key, about=options.OPTIONS[option], default=default))
    return Choice(name, options.SAMPLERS.get(name) or _first_line(node), tuple(keys))


def _first_line(node: type[object]) -> str:
    return inspect.cleandoc(node.__doc__ or "").partition("\n")[0]


def _overview(everything: Sequence[Group]) -> Iterator[str]:
    """The page of --help."""
    yield "flowersweep: sweeps of Keras image classifiers with Hydra, Optuna and MLflow"
    yield from _section(f"Run: {RUN} [FLAG ...] [GROUP=CHOICE ...] [KEY=VALUE ...]", EXAMPLES)
    yield from _section(f"Commands: {RUN} COMMAND --help", COMMANDS)
    yield ""
    yield f"Groups (* is the default); keys and values: {RUN} help GROUP"
    for group in everything[:-3]:
        yield from _choices(group)
    keys = [key.name for key in single_keys()]
    yield from _wrapped(f"Keys without a group: {', '.join(keys)}", "  ", "      ")
    yield from _section("Sweeps: --multirun, or -m, and values to search", SEARCHED)
    for group in everything[-3:-1]:
        yield from _choices(group)
    yield f"  hydra.sweeper.KEY=VALUE  {everything[-1].about}"
    leaves = [key.name.removeprefix("hydra.sweeper.") for key in everything[-1].choices[0].keys]
    yield from _wrapped(", ".join(leaves), "      ", "      ")
    yield from _wrapped(f"Explained by: {RUN} help sweeper, sampler or pruner", "  ", "  ")
    yield from _section("Flags", FLAGS)


def _section(title: str, rows: "dict[str, str]") -> Iterator[str]:
    yield ""
    yield title
    width = max(len(name) for name in rows)
    for name, about in rows.items():
        if width <= 42:
            yield from _wrapped(f"{name:<{width}}  {about}", "  ", " " * (width + 4))
        else:
            yield f"  {name}"
            yield f"      {about}"


def _choices(group: Group) -> Iterator[str]:
    """A group with the names of its choices."""
    yield from _wrapped(f"{group.name}  {group.about}", "  ", "      ")
    if len(group.choices) > 1:
        names = (f"{one.name}{'*' * (one.name == group.default)}" for one in group.choices)
        yield from _wrapped(", ".join(names), "      ", "      ")


def _topic(name: str, everything: Sequence[Group]) -> Iterator[str]:
    """What a name stands for: a group, one of its choices, a key, or a command."""
    plain, _, choice = name.partition("=")
    by_name = {one.name: one for one in everything}
    by_name |= {one.rpartition("/")[2].rpartition(".")[2]: group for one, group in by_name.items()}
    single = Group("", "", "", (Choice("", "", tuple(single_keys())),))
    if plain in by_name:
        return _group(by_name[plain], choice)
    for group in (*everything, single):
        keys = {
            one.name: [key for key in one.keys if f"{key.name}.".startswith(f"{plain}.")]
            for one in group.choices
        }
        if any(keys.values()):
            return _keys(keys)
    if name in COMMANDS:
        return iter([f"{name}: {COMMANDS[name]}; see {RUN} {name} --help"])
    known = [key.name for group in (*everything, single) for one in group.choices for key in one.keys]
    meant = nearest(plain, [*topics(), *dict.fromkeys(known)])
    raise ConfigError(f"There is no help on {name!r}; choose one of {', '.join(topics())}, or a key.{meant}")


def _group(group: Group, choice: str) -> Iterator[str]:
    """A group with all choices and keys, or one of its choices."""
    names = [one.name for one in group.choices]
    if choice and choice not in names:
        raise ConfigError(f"{group.name} has no choice {choice!r}; {choose_one_of(names, choice)}")
    chosen = [one for one in group.choices if choice in {"", one.name}]
    yield from _wrapped(f"{group.name}: {group.about}", "", "    ")
    for one in chosen if names != [""] else ():
        yield ""
        yield f"  {group.name}={one.name}{'  (default)' * (one.name == group.default)}"
        if one.about:
            yield from _wrapped(one.about, "      ", "      ")
    yield from _keys({one.name: one.keys for one in chosen})


def _keys(by_choice: Mapping[str, Iterable[Key]]) -> Iterator[str]:
    """Keys with their meaning, legal values and defaults; keys that several choices share are explained once."""
    shared: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for choice, keys in by_choice.items():
        for key in keys:
            defaults = shared.setdefault((key.name, key.about, key.allowed), {})
            defaults.setdefault(key.default, []).append(choice)
    for (name, about, allowed), defaults in shared.items():
        having = [choice for choices in defaults.values() for choice in choices]
        yield ""
        yield from _wrapped(
            name + (f"  (only {', '.join(having)})" if set(having) < set(by_choice) else ""), "  ", "      "
        )
        values = [
            (default or "none, it must be given") + (f" ({', '.join(choices)})" if len(defaults) > 1 else "")
            for default, choices in defaults.items()
        ]
        for text in (about, allowed, f"default: {'; '.join(values)}"):
            yield from _wrapped(text, "      ", "      ")


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    width = min(shutil.get_terminal_size().columns, MAX_WIDTH)
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
