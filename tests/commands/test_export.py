"""The command that exports: what it writes, and when it writes nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowersweep.commands import export
from flowersweep.commands.export import main
from flowersweep.deploy.exporter import Run, open_export
from winners import Winners


@pytest.mark.parametrize(
    ("kind", "name"), [("keras", "a.keras"), ("saved_model", "a"), ("tflite", "a.tflite")]
)
def test_an_export_comes_with_its_labels(
    results: Winners, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    """Labels are in the order of the outputs, and the difference to the source is told."""
    output = tmp_path / "new" / name
    assert main([f"format={kind}", f"output={output}", "run=best", results.where]) == 0

    assert sorted(path.name for path in output.parent.iterdir()) == sorted(
        [name, "labels.json", "labels.txt"]
    )
    assert (output.parent / "labels.txt").read_text().splitlines() == results.class_names
    assert json.loads((output.parent / "labels.json").read_text()) == results.class_names
    told = capsys.readouterr().out
    assert told.startswith(f"{output}: {kind} of run {results.runs['petals/1'][:8]} (trial 1 of study petals")
    assert "on 18 pictures its probabilities differ from those of the source by at most " in told


def test_pictures_may_be_given(
    results: Winners, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then the two are compared on those."""
    arguments = ["format=tflite", f"output={tmp_path / 'a.tflite'}", f"images={drawn}"]
    assert main([*arguments, "run=best", results.where]) == 0
    assert "on 60 pictures" in capsys.readouterr().out


def test_an_export_that_is_not_equal_is_removed(
    results: Winners,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A converter that changes probabilities by 0.01 leaves nothing behind, and what was there before stays."""

    def wrong(kind: str, model: Any, path: Path) -> Run:
        right = open_export(kind, model, path)
        return lambda pictures: right(pictures) + np.float32(0.01)

    output = tmp_path / "a.tflite"
    output.write_text("old")
    monkeypatch.setattr(export, "open_export", wrong)

    arguments = ["format=tflite", f"output={output}", "overwrite=true", "run=best", results.where]
    assert main(arguments) == 1
    assert "differ by up to 0.01, more than the 0.0001 of rounding" in capsys.readouterr().err
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_nothing_is_overwritten_by_accident(
    results: Winners, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a model nor labels with other classes; the same labels do no harm."""
    first = ["format=keras", f"output={tmp_path / 'a.keras'}", "run=best", results.where]
    assert main(first) == 0
    assert main(first) == 2
    assert f"{tmp_path / 'a.keras'} already exists" in capsys.readouterr().err
    second = ["format=keras", f"output={tmp_path / 'b.keras'}", "run=best", results.where]
    assert main(second) == 0
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    third = ["format=keras", f"output={tmp_path / 'c.keras'}", "run=best", results.where]
    assert main(third) == 2
    assert f"{tmp_path / 'labels.txt'} already exists" in capsys.readouterr().err
    assert main([*third, "overwrite=true"]) == 0
    assert (tmp_path / "labels.txt").read_text().splitlines() == results.class_names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["output=a.keras"], "format= is missing"),
        (["format=h5", "output=a.h5"], "format has no choice 'h5'; choose one of keras, saved_model"),
        (["format=tflite", "output=a.keras"], "must have the extension .tflite"),
        (["format=keras", "output=a.keras", "run=12345678"], "There is no run 12345678"),
        (["format=keras", "output=a.keras", "study=bare"], "has saved no model"),
        (["format=keras", "output=a.keras", "images=nowhere"], "images=nowhere does not exist"),
        (["format=saved_model", "output=."], "is a folder with other files"),
    ],
)
def test_bad_input_is_one_sentence(
    results: Winners, capsys: pytest.CaptureFixture[str], *, folder: Path, arguments: list[str], message: str
) -> None:
    """And the exit code is 2, and nothing is written."""
    assert main([*arguments, results.where]) == 2
    assert message in capsys.readouterr().err
    assert list(folder.iterdir()) == []
