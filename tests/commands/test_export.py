"""The command that exports: what it writes, and when it writes nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flowersweep.commands import export
from flowersweep.commands.export import main
from flowersweep.commands.parsing.common import chosen
from flowersweep.data import decode
from flowersweep.deploy.evaluation import evaluation_set
from flowersweep.deploy.exporter import Run, open_export
from flowersweep.texts import number_text, upper_bound
from markdown import ROOT, blocks
from winners import SIZE, Winners


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of the tests."""
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(cache))


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.keras", "a.tflite"])
def test_a_temperature_is_fitted_and_written(
    results: Winners, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The export returns the softmax of divided logits: other probabilities, the same classes; its effect is in a file."""
    output, model = tmp_path / name, results.models["petals/1"]
    pictures = np.stack([decode(path, SIZE) for path in sorted(drawn.rglob("*.jpg"))]).astype(np.float32)
    before = np.asarray(model(pictures))
    arguments = [
        f"format={output.suffix[1:]}",
        f"output={output}",
        "run=best",
        results.where,
        "overwrite=true",
    ]
    assert main([*arguments, "temperature=fit"]) == 0

    facts = json.loads((tmp_path / f"{name}.temperature.json").read_text())
    assert f"The temperature {facts['value']:.4g}, fitted on 60 validation" in capsys.readouterr().out
    assert (facts["run"], facts["pictures"]) == (results.runs["petals/1"], 60)
    assert facts["after"]["loss"] < facts["before"]["loss"]
    after = open_export(output.suffix[1:], output)(pictures)
    expected = before ** (1 / facts["value"])
    np.testing.assert_allclose(after, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    labels = np.repeat(np.arange(5), 12)
    assert facts["after"]["loss"] == pytest.approx(-np.log(after[np.arange(60), labels]).mean(), abs=1e-4)
    assert main(arguments) == 0
    assert not (tmp_path / f"{name}.temperature.json").exists()


@pytest.mark.slow
def test_a_run_without_predictions_has_no_temperature(
    results: Winners, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, and nothing is written."""
    run = f"run={results.runs['alone/good']}"
    assert main(["format=keras", f"output={tmp_path}/a.keras", run, results.where, "temperature=fit"]) == 2
    assert "has no validation predictions to fit a temperature on" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


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

    def wrong(kind: str, path: Path) -> Run:
        right = open_export(kind, path)
        return lambda pictures: right(pictures) + np.float32(0.01)

    output = tmp_path / "a.tflite"
    output.write_text("old")
    monkeypatch.setattr(export, "open_export", wrong)

    arguments = ["format=tflite", f"output={output}", "overwrite=true", "run=best", results.where]
    assert main(arguments) == 1
    assert "differ by up to 0.011, more than the 0.0001 of rounding" in capsys.readouterr().err
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_lower_precision_is_compared_on_the_validation_pictures(
    results: Winners, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    """The accuracies and differences that are told are those of the file that is written."""
    output, model = tmp_path / "a.tflite", results.models["petals/1"]
    arguments = ["format=tflite", f"output={output}", "run=best", results.where, f"data.dir={drawn}"]
    assert main([*arguments, f"precision={precision}", "max_drop=1"]) == 0

    choice = chosen({"study": "petals", "tracking.dir": str(results.directory)})
    data = evaluation_set(choice, drawn, "validation")
    pictures = np.stack([decode(path, SIZE) for path in data.paths]).astype(np.float32)
    before, after = np.asarray(model(pictures)), open_export("tflite", output)(pictures)
    correct, correct_after = ((one.argmax(axis=1) == data.labels).mean() for one in (before, after))
    changed = (before.argmax(axis=1) != after.argmax(axis=1)).sum()
    told = capsys.readouterr().out
    calibrated = ", calibrated on 45 training pictures" if precision == "int8" else ""
    assert (
        f"; {precision}{calibrated}, {output.stat().st_size / 1e6:.3g} MB; on 15 validation pictures" in told
    )
    assert (
        f"its accuracy is {correct_after:.4f} (source: {correct:.4f}), the predicted class differs for {changed} of them"
        in told
    )
    assert f"by at most {upper_bound(np.abs(after - before).max())}. It takes RGB pictures of 16 x 16" in told
    assert told.endswith(f", as {'uint8' if precision == 'int8' else 'float32'}.\n")


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="an installed copy has no documentation")
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_program_of_the_how_to(results: Winners, drawn: Path, tmp_path: Path, precision: str) -> None:
    """Word for word, without this package, Keras and TensorFlow: it prints the classes that the model predicts."""
    given = ["format=tflite", f"output={tmp_path / 'flowers.tflite'}", "run=best", results.where]
    if precision == "int8":
        given += ["precision=int8", f"data.dir={drawn}"]
    assert main(given) == 0
    picture = min(drawn.rglob("*.jpg"))
    shutil.copy(picture, tmp_path / "flower.jpg")
    (program,) = (one.text for one in blocks("docs/howto/use_tflite.md") if one.first == "import zipfile")
    hidden = "import sys; sys.modules |= dict.fromkeys(['flowersweep', 'keras', 'tensorflow'])\n"
    done = subprocess.run(
        [sys.executable, "-c", hidden + program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    (expected,) = np.asarray(results.models["petals/1"](decode(picture, SIZE)[None].astype(np.float32)))
    printed = {name: float(number) for number, name in map(str.split, done.stdout.splitlines())}
    assert sorted(printed.values(), reverse=True) == list(printed.values())
    assert next(iter(printed)) == results.class_names[int(expected.argmax())]
    tolerance = 0.12 if precision == "int8" else 0.02  # pictures are resized with other rounding, too
    assert [printed[name] for name in results.class_names] == pytest.approx(expected.tolist(), abs=tolerance)


@pytest.mark.slow
def test_an_export_of_lower_precision_that_is_worse_is_removed(
    results: Winners,
    drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model that always predicts another class leaves nothing behind, unless that is accepted."""
    data = evaluation_set(
        chosen({"study": "petals", "tracking.dir": str(results.directory)}), drawn, "validation"
    )
    never_right = np.eye(5, dtype=np.float32)[(data.labels + 1) % 5]
    monkeypatch.setattr(export, "open_export", lambda _kind, _path: lambda _pictures: never_right)
    pictures = np.stack([decode(path, SIZE) for path in data.paths]).astype(np.float32)
    correct = (np.asarray(results.models["petals/1"](pictures)).argmax(axis=1) == data.labels).sum()
    assert correct > 1
    arguments = ["format=tflite", f"output={tmp_path / 'a.tflite'}", "run=best", results.where]
    reduced = [*arguments, "precision=float16", f"data.dir={drawn}"]

    assert main([*reduced, "max_drop=0"]) == 1
    assert f"accuracy is 0 (source: {number_text(correct / 15)}), " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([*reduced, "max_drop=1"]) == 0


@pytest.mark.slow
def test_nothing_is_overwritten_by_accident(
    results: Winners, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a model nor labels with other classes, in whatever encoding; the same labels do no harm."""
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
    (tmp_path / "labels.txt").write_bytes("Gänseblümchen\n".encode("latin-1"))
    assert main(["format=keras", f"output={tmp_path / 'd.keras'}", "run=best", results.where]) == 2
    assert f"{tmp_path / 'labels.txt'} already exists" in capsys.readouterr().err


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
        (["format=onnx", "output=a.onnx", "precision=int8"], "precision=int8 needs format=tflite"),
        (
            ["format=keras", "output=a.keras", "precision=int8"],
            "precision=int8 needs format=tflite, but format=keras",
        ),
        (
            ["format=tflite", "output=a.tflite", "precision=int4"],
            "precision has no choice 'int4'; choose one of float32",
        ),
        (
            ["format=tflite", "output=a.tflite", "max_drop=0.1"],
            "max_drop= is only for precision=float16 and int8",
        ),
        (
            ["format=tflite", "output=a.tflite", "data.dir=."],
            "data.dir= is only for precision=float16 and int8",
        ),
        (
            ["format=tflite", "output=a.tflite", "precision=int8", "images=."],
            "images= is only for precision=float32",
        ),
        (
            ["format=tflite", "output=a.tflite", "precision=int8", "max_drop=2"],
            "must be a number from 0 to 1, but is '2'",
        ),
        (["format=tflite", "output=a.tflite", "precision=int8", "max_drop=nan"], "from 0 to 1, but is 'nan'"),
        (
            ["format=tflite", "output=a.tflite", "precision=int8", "run=best"],
            "are no longer where they were; give their folder",
        ),
        (
            ["format=tflite", "output=a.tflite", "precision=float16", "data.dir=no", "run=best"],
            "no does not exist",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    results: Winners, capsys: pytest.CaptureFixture[str], *, folder: Path, arguments: list[str], message: str
) -> None:
    """And the exit code is 2, and nothing is written."""
    assert main([*arguments, results.where]) == 2
    assert message in capsys.readouterr().err
    assert list(folder.iterdir()) == []
