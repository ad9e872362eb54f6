"""Commands with `name=value` arguments: what they take, what they refuse, and how they say it."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from broken_pipes import unread
from flowersweep.commands.parsing.arguments import Argument, Command, exit_code, values_of
from flowersweep.errors import ConfigError, TrackingError

COMMAND = Command(
    name="bake",
    about="Bake a cake.",
    arguments=(
        Argument("cake", "which one", "NAME", required=True),
        Argument("oven.mode", "how it is heated", default="fan", choices=("fan", "grill")),
        Argument("recipe", "a file", "PATH"),
        Argument("guest", "who comes", "NAME", several=True),
    ),
    example="python -m flowersweep.bake cake=plum",
    positional="recipe",
)


class TestParse:
    def test_values_and_defaults(self) -> None:
        """Every argument has a value: the one that was given, its default, or None."""
        assert COMMAND.parse(["cake=plum"]) == {
            "cake": "plum",
            "oven.mode": "fan",
            "recipe": None,
            "guest": None,
        }
        given = COMMAND.parse(["oven.mode=grill", "cake=a=b", "guest=Ada"])
        assert given == {"cake": "a=b", "oven.mode": "grill", "recipe": None, "guest": "Ada"}

    def test_several_values(self) -> None:
        """Where it is allowed an argument has all its values in their order, and none if it was left out."""
        assert values_of(COMMAND.parse(["guest=Ada", "cake=plum", "guest=Bo, Cy"]), "guest") == [
            "Ada",
            "Bo, Cy",
        ]
        assert values_of(COMMAND.parse(["cake=plum"]), "guest") == []

    def test_a_value_without_a_name(self) -> None:
        """It goes to the positional argument, also a path with an equals sign in it."""
        assert COMMAND.parse(["cake=plum", "old.txt"])["recipe"] == "old.txt"
        assert COMMAND.parse(["cake=plum", "a/b=c.txt"])["recipe"] == "a/b=c.txt"

    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ([], "cake= is missing; example: python -m flowersweep.bake cake=plum"),
            (["cake=a", "cake=b"], "cake is given twice; once is enough."),
            (["cake="], "cake= has no value; leave it out or give it one."),
            (
                ["caek=a"],
                "'caek' is not an argument of this command; choose one of cake, oven.mode, recipe, guest. Did you mean cake?",
            ),
            (
                ["cake=a", "oven.mode=gril"],
                "oven.mode has no choice 'gril'; choose one of fan, grill. Did you mean grill?",
            ),
        ],
    )
    def test_refusals(self, given: list[str], sentence: str) -> None:
        """Each is one sentence that says what was wrong, what is allowed, and what was perhaps meant."""
        with pytest.raises(ConfigError) as caught:
            COMMAND.parse(given)
        assert str(caught.value) == sentence

    def test_names_are_needed_without_a_positional(self) -> None:
        """A value without a name is refused if nothing takes it."""
        plain = Command("bake", "Bake.", (Argument("cake", "which"),), example="bake cake=plum")
        with pytest.raises(ConfigError, match="'plum' has no '='; example: bake cake=plum"):
            plain.parse(["plum"])


class TestRun:
    def test_the_exit_code_is_the_actions(self) -> None:
        """The action gets every value and says how it went."""
        seen: list[Mapping[str, str | None]] = []

        def action(values: Mapping[str, str | None]) -> int:
            seen.append(values)
            return 3

        assert COMMAND.run(action, ["cake=plum"]) == 3
        assert seen[0]["cake"] == "plum"

    def test_errors_are_sentences(self, capsys: pytest.CaptureFixture[str]) -> None:
        """An error of the project is told without a traceback, each line under the program's name; the code is 2."""

        def action(_values: Mapping[str, str | None]) -> int:
            raise TrackingError("No oven.\nBuy one.")

        assert COMMAND.run(action, ["cake=plum"]) == 2
        assert capsys.readouterr().err == "flowersweep: No oven.\nflowersweep: Buy one.\n"
        assert COMMAND.run(action, []) == 2
        assert capsys.readouterr().err.startswith("flowersweep: cake= is missing")

    def test_a_path_without_permission(
        self, no_permission: PermissionError, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Is bad input in one sentence, and no traceback."""

        def refused() -> int:
            raise no_permission

        assert exit_code(refused) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"flowersweep: {no_permission.filename} cannot be used (Permission denied); ")
        assert said.count("\n") == 1

    def test_interruption(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Ctrl-C ends it with the shell's code for that."""

        def action(_values: Mapping[str, str | None]) -> int:
            raise KeyboardInterrupt

        assert COMMAND.run(action, ["cake=plum"]) == 130
        assert capsys.readouterr().err == "flowersweep: interrupted.\n"

    def test_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It names every argument with choices, default and whether it must be given, and an example."""
        with pytest.raises(SystemExit) as caught:
            COMMAND.run(lambda _values: 0, ["--help"])
        assert caught.value.code == 0
        shown = capsys.readouterr().out
        assert "cake=NAME        which one; required" in shown
        assert "oven.mode=VALUE  how it is heated (fan, grill); default: fan" in shown
        assert "example: python -m flowersweep.bake cake=plum" in shown


def test_a_value_with_an_equals_sign() -> None:
    """Is taken for a name; how it is written otherwise is said, unless a known name was probably meant."""
    with pytest.raises(
        ConfigError, match=r"'a' is not an argument .* If 'a=b.txt' is a value, write recipe=a=b.txt\."
    ):
        COMMAND.parse(["cake=plum", "a=b.txt"])
    assert COMMAND.parse(["cake=plum", "recipe=a=b.txt"])["recipe"] == "a=b.txt"


def test_a_name_that_is_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    """Is bad input in one sentence, as in `predict "$(ls)"`."""
    assert exit_code(lambda: int(Path("a" * 256).exists())) == 2
    assert capsys.readouterr().err == (
        f"flowersweep: {'a' * 40}... is too long for the name of a group, a choice, a file or a folder (256 bytes); shorten it.\n"
    )


@pytest.mark.parametrize(("length", "code"), [(10, 3), (100_000, 0)])
def test_output_that_nobody_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], length: int, code: int
) -> None:
    """Is no error: a command that has ended keeps its exit code, and one that goes on printing is ended."""

    def printing() -> int:
        sys.stdout.write("x" * length)
        return 3

    with unread() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert exit_code(printing) == code
    assert not capsys.readouterr().err
