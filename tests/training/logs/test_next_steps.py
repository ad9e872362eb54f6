"""What to do after a run or a sweep: commands that work as they are printed."""

import io
import shlex
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from flowersweep.commands.parsing.arguments import Command
from flowersweep.config import results_dir
from flowersweep.training.logs.next_steps import after_run, after_sweep, show_next_steps

RUN_ID = "0123456789abcdef0123456789abcdef"
PYTHON = [sys.executable, "-m", "flowersweep"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the results nor Python are in the current folder, and the shell has no Python."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _name: None)


def words(steps: dict[str, str]) -> list[list[str]]:
    """The commands as a shell splits them."""
    return [shlex.split(command) for command in steps]


def test_results_in_the_default_folder_need_no_argument() -> None:
    """The commands find them by themselves."""
    directory = str(results_dir())
    assert words(after_run(directory, None, RUN_ID, has_model=True)) == [
        [*PYTHON, "ui"],
        [*PYTHON, "promote", "run=01234567"],
        [*PYTHON, "predict", "run=01234567", "PATH"],
    ]
    assert words(after_sweep(directory, None, "aug-1", has_model=True)) == [
        [*PYTHON, "report", "study=aug-1"],
        [*PYTHON, "ui"],
        [*PYTHON, "promote", "study=aug-1"],
    ]


def test_other_results_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the current folder if they are in it; whatever the names are, the shell reads them as they are."""
    monkeypatch.chdir(tmp_path)
    steps = after_sweep(str(tmp_path / "my $results"), None, "it's; a 'name'", has_model=False)
    assert words(steps) == [
        [*PYTHON, "report", "study=it's; a 'name'", "tracking.dir=my $results"],
        [*PYTHON, "ui", "tracking.dir=my $results"],
    ]
    assert words(after_run("/elsewhere", None, RUN_ID, has_model=False)) == [
        [*PYTHON, "ui", "tracking.dir=/elsewhere"]
    ]


def test_a_server_has_its_own_pages() -> None:
    """A password in its address is not shown."""
    steps = after_sweep("/r", "http://me:secret@host:5000", "s", has_model=True)
    assert words(steps) == [
        [*PYTHON, command, "study=s", "tracking.uri=http://me:***@host:5000"]
        for command in ("report", "promote")
    ]


def test_python_is_called_as_in_this_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name if the environment is activated, otherwise by its path from here."""
    monkeypatch.setattr(shutil, "which", lambda _name: sys.executable)
    assert words(after_run("/r", None, RUN_ID, has_model=False))[0][0] == "python"
    monkeypatch.setattr(shutil, "which", lambda _name: "/usr/bin/python")
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/.venv/bin/python")
    monkeypatch.chdir(tmp_path)
    assert words(after_run("/r", None, RUN_ID, has_model=False))[0][0] == ".venv/bin/python"


@pytest.mark.parametrize("width", [40, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_gets_them(*, terminal: bool, width: int) -> None:
    """In a file or for a program, they would be no results. What follows a command is a comment for the shell."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width)
    show_next_steps(after_run(str(results_dir()), None, RUN_ID, has_model=True), console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # it is a StringIO
    assert lines[:1] == ["Next:"] * terminal
    assert [typed for line in lines[1:] if (typed := shlex.split(line, comments=True))] == (
        words(after_run(str(results_dir()), None, RUN_ID, has_model=True)) if terminal else []
    )


def test_commands_take_their_arguments() -> None:
    """Each printed command accepts what it is printed with."""
    run = after_run("/my results", None, RUN_ID, has_model=True)
    sweep = after_sweep("/my results", None, "it's", has_model=True)
    read = {name: _command_of(name).parse(given) for *_, name, given in map(_parts, words(run | sweep))}
    assert set(read) == {"report", "ui", "promote", "predict"}
    assert all(values["tracking.dir"] == "/my results" for values in read.values())
    assert (read["report"]["study"], read["promote"]["study"]) == ("it's", "it's")


def _parts(command: list[str]) -> tuple[str, list[str]]:
    return command[3], command[4:]


def _command_of(name: str) -> Command:
    command = import_module(f"flowersweep.commands.{name}").COMMAND
    assert isinstance(command, Command)
    return command
