"""Commands whose arguments have the form of overrides, `name=value`, with --help and one-sentence errors."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from flowersweep.console import print_notice
from flowersweep.errors import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    ConfigError,
    FlowersweepError,
    full_disk,
    is_full,
    refused_path,
)
from flowersweep.streams import lead_nowhere, settle
from flowersweep.texts import choose_one_of, nearest_of

# Separates the values of an argument that was given several times: the only character that no path can contain.
_BETWEEN = "\0"


@dataclass(frozen=True)
class Argument:
    """One `name=value`.

    Attributes:
        name: The name as it is typed.
        about: A description for --help.
        metavar: A placeholder of the value for --help.
        default: The default value; None if there is none.
        required: Whether it must be given.
        choices: The allowed values, if they are limited.
        several: Whether it may be given more than once; `values_of` then returns all values.
    """

    name: str
    about: str
    metavar: str = "VALUE"
    default: str | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    several: bool = False


@dataclass(frozen=True)
class Command:
    """A command with its arguments.

    Attributes:
        name: The name in `flowersweep NAME`.
        about: A description for --help.
        arguments: The arguments in the order of --help.
        example: A complete command line.
        positional: The argument to which a value without a name belongs; None if names are required.
    """

    name: str
    about: str
    arguments: tuple[Argument, ...]
    example: str
    positional: str | None = None

    def run(
        self, action: Callable[[Mapping[str, str | None]], int], given: Sequence[str] | None = None
    ) -> int:
        """Parse a command line and run an action; report an error in one sentence.

        Args:
            action: Takes the value of every argument, returns the exit code.
            given: The command line; None for that of the process.

        Returns:
            The exit code; 2 for bad input, 128 + SIGINT for an interruption.
        """
        return exit_code(lambda: action(self.parse(given)))

    def parse(self, given: Sequence[str] | None = None) -> dict[str, str | None]:
        """The value of every argument by name.

        Raises:
            ConfigError: An argument is unknown, missing, given twice or not one of the choices.
        """
        typed: dict[str, str] = {}
        for text in self._parser().parse_args(given).arguments:
            argument, value = self._split(text)
            if argument.name not in typed:
                typed[argument.name] = value
            elif argument.several:
                typed[argument.name] += _BETWEEN + value
            else:
                raise ConfigError(f"{argument.name} is given twice; once is enough.")
        missing = [one.name for one in self.arguments if one.required and one.name not in typed]
        if missing:
            raise ConfigError(f"{missing[0]}= is missing; example: {self.example}")
        return {one.name: typed.get(one.name, one.default) for one in self.arguments}

    def _split(self, text: str) -> tuple[Argument, str]:
        name, equals, value = text.partition("=")
        by_name = {one.name: one for one in self.arguments}
        if self.positional is not None and (not equals or (name not in by_name and "/" in name)):
            name, equals, value = self.positional, "=", text
        if not equals:
            raise ConfigError(
                f"Arguments are written name=value, but {text!r} has no '='; example: {self.example}"
            )
        if name not in by_name:
            is_value = self.positional is not None and not nearest_of(name, by_name)
            remedy = f" If {text!r} is a value, write {self.positional}={text}." if is_value else ""
            raise ConfigError(
                f"{name!r} is not an argument of this command; {choose_one_of(list(by_name), name)}{remedy}"
            )
        choices = by_name[name].choices
        if choices and value not in choices:
            raise ConfigError(f"{name} has no choice {value!r}; {choose_one_of(choices, value)}")
        if not value:
            raise ConfigError(f"{name}= has no value; leave it out or give it one.")
        return by_name[name], value

    def _parser(self) -> argparse.ArgumentParser:
        width = max(len(f"{one.name}={one.metavar}") for one in self.arguments)
        lines = [f"  {f'{one.name}={one.metavar}':<{width}}  {_about(one)}" for one in self.arguments]
        parser = argparse.ArgumentParser(
            prog=f"flowersweep {self.name}",
            description=self.about,
            epilog="\n".join(["arguments:", *lines, "", f"example: {self.example}"]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("arguments", nargs="*", metavar="name=value", help="see below")
        return parser


def exit_code(action: Callable[[], int]) -> int:
    """Run a command; report an error in one sentence.

    Args:
        action: Returns the exit code.

    Returns:
        The exit code of the action, 1 if a disk is full, 2 for bad input, or 128 + SIGINT for an interruption.
    """
    try:
        code = action()
        settle(sys.stdout)
    except FlowersweepError as error:
        for line in str(error).splitlines():
            print_notice(line)
        return EXIT_BAD_INPUT
    except BrokenPipeError:  # for example by `| head`: there is nothing left to do
        lead_nowhere(sys.stdout)
        return 0
    except OSError as error:
        if (refused := refused_path(error)) is not None:
            print_notice(refused)
            return EXIT_BAD_INPUT
        if not is_full(error):
            raise
        print_notice(full_disk(error))
        if (
            error.filename is None
        ):  # perhaps standard output, which is not to be tried again at the end of the process
            with suppress(OSError):
                sys.stdout.close()
        return EXIT_FAILED
    except KeyboardInterrupt:
        print_notice("interrupted.")
        return 130
    return code


def values_of(given: Mapping[str, str | None], name: str) -> list[str]:
    """All values of an argument that may be given several times, in their order; empty if it was not given.

    Args:
        given: The result of `Command.parse`.
        name: The name of the argument.
    """
    value = given[name]
    return [] if value is None else value.split(_BETWEEN)


def _about(argument: Argument) -> str:
    choices = f" ({', '.join(argument.choices)})" if len(argument.choices) > 1 else ""
    default = f"; default: {argument.default}" if argument.default is not None else ""
    return f"{argument.about}{choices}{'; required' if argument.required else default}"
