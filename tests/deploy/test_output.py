"""Results are whole or absent, and nothing is overwritten by accident."""

from pathlib import Path

import pytest

from flowersweep.commands.parsing.common import output_path
from flowersweep.deploy.output import draft
from flowersweep.errors import ConfigError


def test_a_draft_becomes_the_target(tmp_path: Path) -> None:
    """Folders on the way are made, and nothing else is left."""
    target = tmp_path / "a" / "b.txt"
    with draft(target) as part:
        part.write_text("whole")
        assert not target.exists()

    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_draft_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """An exception half-way removes the draft and not the old file."""
    target = tmp_path / "b.txt"
    target.write_text("old")

    def fail() -> None:
        with draft(target) as part:
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
    (target / "old").touch()
    with draft(target) as part:
        part.mkdir()
        (part / "new").touch()

    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


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
    with pytest.raises(ConfigError, match="cannot be written"), draft(tmp_path / "file" / "b.txt"):
        pass
