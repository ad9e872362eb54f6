"""Tests of flowersweep.own.permission: the machine's list of modules."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flowersweep.errors import ConfigError
from flowersweep.own.permission import (
    allow_file,
    as_variable,
    given_entries,
    keep_places,
    permitted,
    refuse_environment,
)
from own_modules import Modules


def test_nothing_is_allowed_by_default(modules: Modules) -> None:
    """Neither the current folder nor any other has allowed modules."""
    modules.add("own_waiting", "", allow=False)
    assert permitted() == {}


def test_names_and_paths(modules: Modules, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path allows the module that is named as the file or folder; a name any module that Python finds."""
    monkeypatch.setenv("FLOWERSWEEP_ALLOW", f" ./one.py, ~/two ,three.four,{folder}/five.py")
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert permitted() == {
        "one": folder / "one.py",
        "two": folder / "home/two",
        "three.four": None,
        "five": folder / "five.py",
    }
    del modules


def test_a_comma_in_a_path(modules: Modules, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a backslash before it; that of the current folder is written as such when relative paths become absolute."""
    here = folder / "roses, tulips"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("FLOWERSWEEP_ALLOW", r"./one.py,a\,b/two.py,three")
    expected = {"one": here / "one.py", "two": here / "a,b/two.py", "three": None}
    assert permitted() == expected
    for _ in range(2):
        keep_places()
        assert permitted() == expected
    del modules


@given(st.lists(st.from_regex(r"[a-z,./ ]*[a-z]", fullmatch=True).map(str.strip).filter(bool)))
def test_any_entries_are_read_as_they_were_written(entries: list[str]) -> None:
    """With commas anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWERSWEEP_ALLOW", as_variable(entries))
        assert given_entries() == entries


def test_the_file(modules: Modules) -> None:
    """It has an entry a line; its relative paths belong to its folder, and the environment variable comes first."""
    path = modules.add("own_filed", "")
    allow_file().parent.mkdir(parents=True)
    allow_file().write_text("# mine\nsix\n\n./seven.py  # here\nown_filed\n", encoding="utf-8")
    assert permitted() == {"own_filed": path, "six": None, "seven": allow_file().parent / "seven.py"}


def test_a_file_that_is_not_text(modules: Modules) -> None:
    """One sentence."""
    allow_file().parent.mkdir(parents=True)
    allow_file().write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"allow\.txt cannot be read .*; correct it, or remove it\.$"):
        permitted()
    del modules


def test_a_configuration_sets_no_variables() -> None:
    """It would allow its own code; a variable that is copied from the environment keeps its value."""
    refuse_environment(OmegaConf.create({"env_set": {"A": "1"}, "env_copy": ["A", "C"]}))
    with pytest.raises(ConfigError, match=r"^hydra\.job\.env_set sets B, C, but .* 'export B=VALUE'\.$"):
        refuse_environment(OmegaConf.create({"env_set": {"A": "1", "B": "2", "C": "3"}, "env_copy": ["A"]}))


def test_places_are_kept(modules: Modules, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its current directory still reads the same files."""
    monkeypatch.setenv("FLOWERSWEEP_ALLOW", "./one.py,two")
    keep_places()
    monkeypatch.chdir(folder.parent)
    assert os.environ["FLOWERSWEEP_ALLOW"] == f"{folder}/one.py,two"
    assert permitted() == {"one": folder / "one.py", "two": None}
    del modules
