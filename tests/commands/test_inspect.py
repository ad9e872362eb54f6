"""Looking at pictures before training, as a person meets it."""

import sys
from pathlib import Path

import pytest

from broken_pipes import unread
from flowersweep.commands.inspect import main


@pytest.fixture
def given(drawn: Path, cache: Path, folder: Path) -> list[str]:
    """The drawn flowers; the current folder is the test's own."""
    assert folder.is_dir()
    return ["data=folder", f"data.dir={drawn}", f"paths.cache={cache}", "trainer.image_size=32"]


def test_a_table_and_a_page(
    given: list[str], drawn: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counts of each class and part, and the path of the page in the last line."""
    assert main([*given, "data.split=stratified", "data.validation_split=0.25"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("│")] for line in lines if "│" in line]
    assert rows == [
        *([name, "9", "3", "12"] for name in sorted(path.name for path in drawn.iterdir())),
        ["all classes", "45", "15", "60"],
    ]
    assert lines[-1] == f"reports/inspect-{drawn.name}.html"
    assert "makes of six" not in (folder / lines[-1]).read_text(encoding="utf-8")


def test_the_page_can_be_elsewhere_and_shows_the_augmentation(given: list[str], folder: Path) -> None:
    """Six pictures, augmented."""
    assert main([*given, "aug=RandomCrop", "output=some/page.html"]) == 0
    assert "What RandomCrop makes of six training pictures" in (folder / "some/page.html").read_text(
        encoding="utf-8"
    )


def test_a_folder_is_not_replaced_by_the_page(
    given: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """output= names the page; a folder of that name stays with all that is in it."""
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.txt").touch()
    assert main([*given, "output=mine"]) == 2
    assert "output=mine is a folder with other files" in capsys.readouterr().err
    assert (folder / "mine" / "thesis.txt").exists()


def test_bad_input_is_refused_in_one_sentence(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As for a run."""
    assert main([*given, "data.split=stratifid"]) == 2
    assert capsys.readouterr().err == (
        "flowersweep: data.split must be one of keras, stratified, folders, csv, groups, but is 'stratifid'. "
        "Did you mean stratified?\n"
    )


def test_a_folder_whose_name_is_a_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Has its name, as in a run."""
    assert main(["data=folder", "data.dir=2024_11_27"]) == 2
    assert f"{folder}/2024_11_27" in capsys.readouterr().err


def test_the_page_is_written_whether_or_not_the_table_is_read(
    given: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `| true`."""
    with unread() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main([*given, "output=page.html"]) == 0
    assert (folder / "page.html").stat().st_size > 1000
