"""Results are whole or absent, and nothing is overwritten by accident."""

import errno
from pathlib import Path

import pytest

from flowersweep.commands.parsing.common import output_path
from flowersweep.deploy.output import draft
from flowersweep.errors import ConfigError


def test_a_draft_becomes_the_target(tmp_path: Path) -> None:
    """Folders on the way are made, and nothing else is left."""
    target = tmp_path / "a" / "b.txt"
    with draft(target, overwrite=True) as part:
        part.write_text("whole")
        assert not target.exists()

    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_draft_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """An exception half-way removes the draft and not the old file."""
    target = tmp_path / "b.txt"
    target.write_text("old")

    def fail() -> None:
        with draft(target, overwrite=True) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """What was in the old folder does not stay in the new one."""
    target = tmp_path / "saved"
    target.mkdir()
    for name in ("old", "saved_model.pb"):
        (target / name).touch()
    with draft(target, overwrite=True) as part:
        part.mkdir()
        (part / "new").touch()

    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.EIO, "Input/output error")])
def test_a_folder_that_cannot_be_replaced_stays(
    error: type[BaseException] | BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption or a failing disk between the two steps of the replacement puts the old one back."""
    target = tmp_path / "saved"
    target.mkdir()
    (target / "saved_model.pb").write_text("old")
    rename = Path.rename

    def fail_once(self: Path, other: Path) -> Path:
        if other == target:
            monkeypatch.setattr(Path, "rename", rename)
            raise error
        return rename(self, other)

    def replace() -> None:
        with draft(target, overwrite=True) as part:
            part.mkdir()
            (part / "saved_model.pb").write_text("new")

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises((KeyboardInterrupt, ConfigError)):
        replace()

    assert (target / "saved_model.pb").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """A file or folder of somebody else that was not there when the work began."""
    (file, folder), theirs = (tmp_path / "a.csv", tmp_path / "model"), tmp_path / "model" / "thesis.txt"

    def write_file() -> None:
        with draft(file, overwrite=False) as part:
            part.write_text("mine")
            file.write_text("theirs")

    def write_folder(*, overwrite: bool) -> None:
        with draft(folder, overwrite=overwrite) as part:
            part.mkdir()
            folder.mkdir(exist_ok=True)
            theirs.write_text("theirs")

    with pytest.raises(ConfigError, match="already exists"):
        write_file()
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="folder with other files"):
            write_folder(overwrite=overwrite)

    assert (file.read_text(), theirs.read_text()) == ("theirs", "theirs")
    assert sorted(tmp_path.iterdir()) == [file, folder]


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """Not even that of a SavedModel."""
    (tmp_path / "saved_model.pb").touch()

    def write() -> None:
        with draft(tmp_path, overwrite=True) as part:
            part.write_text("a page")

    with pytest.raises(ConfigError, match="cannot be written"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["saved_model.pb"]


@pytest.mark.parametrize("overwrite", ["true", "false"])
def test_a_folder_with_other_things_is_never_replaced(tmp_path: Path, overwrite: str) -> None:
    """Somebody's home folder, for instance."""
    with pytest.raises(ConfigError, match="folder with other files"):
        output_path({"output": str(tmp_path), "overwrite": overwrite})


def test_what_is_there_is_replaced_only_on_demand(tmp_path: Path) -> None:
    """A file, and the folder of a SavedModel."""
    (tmp_path / "saved").mkdir()
    for name in ("file", "saved/saved_model.pb"):
        (tmp_path / name).touch()
    for name in ("file", "saved"):
        given = {"output": str(tmp_path / name)}
        with pytest.raises(ConfigError, match=r"already exists; .* overwrite=true"):
            output_path({**given, "overwrite": "false"})
        assert output_path({**given, "overwrite": "true"}) == tmp_path / name


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where a folder is needed."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="cannot be written"),
        draft(tmp_path / "file" / "b.txt", overwrite=False),
    ):
        pass
