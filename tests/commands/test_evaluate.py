"""The command that judges a model on a folder."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from broken_pipes import unread
from flowersweep.commands.evaluate import main, show_matrix
from flowersweep.config import Config
from flowersweep.console import plain_console
from flowersweep.data import decode, split
from tables_read import broken_words
from winners import SIZE, SPLIT_SEED, Winners

MakeConfig = Callable[..., Config]


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of the tests."""
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(cache))


def found(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command with format=json; what it printed."""
    capsys.readouterr()

    assert main([*arguments, "format=json"]) == code
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def by_hand(results: Winners, paths: list[Path]) -> tuple[float, float]:
    """Accuracy and loss of the winner of study petals."""
    pictures = np.stack([decode(path, SIZE) for path in paths]).astype(np.float32)
    probabilities = np.asarray(results.models["petals/1"](pictures))
    labels = np.array([results.class_names.index(path.parent.name) for path in paths])
    likelihood = probabilities[np.arange(len(paths)), labels]
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    return float(accuracy), float(-np.log(likelihood).mean())


def test_figures_are_those_of_the_model(
    results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accuracy and loss by hand; the confusion matrix adds up to them."""
    answer = found(capsys, f"data.dir={drawn}", "run=best", results.where, "batch_size=9")
    accuracy, loss = by_hand(results, sorted(drawn.rglob("*.jpg")))

    assert answer["pictures"] == 60
    assert answer["accuracy"] == pytest.approx(accuracy)
    assert answer["loss"] == pytest.approx(loss, abs=1e-5)
    assert list(answer["classes"]) == results.class_names
    assert answer["balanced_accuracy"] == pytest.approx(accuracy)  # as many pictures of every class
    assert 0 < answer["auc"] < 1 >= answer["top3"] >= accuracy
    gaps = [
        abs(one["accuracy"] - one["confidence"]) * one["pictures"]
        for one in answer["reliability"]
        if one["pictures"]
    ]
    assert answer["calibration_error"] == pytest.approx(sum(gaps) / 60)
    right = sum(answer["confusion"][name][name] for name in results.class_names)
    assert right == round(accuracy * 60)
    for name, figures in answer["classes"].items():
        assert figures["recall"] == pytest.approx(answer["confusion"][name][name] / 12)


def test_validation_pictures(results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fifteen of sixty, those of the run's own split."""
    answer = found(capsys, str(drawn), "run=best", results.where, "subset=validation")
    paths = sorted(drawn.rglob("*.jpg"))
    chosen = [paths[position] for position in split(60, seed=SPLIT_SEED, validation=0.25).validation]

    assert answer["pictures"] == 15
    assert (answer["accuracy"], answer["loss"]) == pytest.approx(by_hand(results, chosen), abs=1e-5)


def test_a_folder_in_the_home_folder(
    results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell expands the tilde of data.dir=~/flowers."""
    monkeypatch.setenv("HOME", str(drawn.parent))
    answer = found(capsys, f"data.dir=~/{drawn.name}", "run=best", results.where)
    assert answer["pictures"] == 60


def test_tables_and_picture(
    results: Winners, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people; the confusion matrix is a picture too."""
    output = tmp_path / "confusion.png"
    assert main([str(drawn), "run=best", results.where, f"output={output}"]) == 0
    text = capsys.readouterr().out

    assert "60 pictures: accuracy 0." in text
    assert "precision" in text
    assert "Expected calibration error 0." in text
    assert all(name in text for name in results.class_names)
    with Image.open(output) as picture:
        assert picture.format == "PNG"


def test_a_matrix_that_is_too_wide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its numbers would have no room, the most frequent mistakes are in lines."""
    names = [f"class number {number}" for number in range(30)]
    confusion = np.diag(np.full(30, 5))
    confusion[3, 7], confusion[20, 2] = 4, 9
    monkeypatch.setenv("COLUMNS", "80")

    show_matrix(plain_console(), names, confusion)
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["class number 20", "class number 2", "9"],
        ["class number 3", "class number 7", "4"],
    ]

    show_matrix(plain_console(), names[:3], confusion[:3, :3])
    assert "class number 2 │" in capsys.readouterr().out


@pytest.mark.parametrize("width", ["30", "80", "100", "120"])
def test_no_class_is_broken(
    width: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long names of classes and numbers stay whole, in the matrix and in the list of mistakes."""
    names = ["a_class_with_a_very_long_name", "Leucanthemum_x_superbum_(daisy)", "x"]
    monkeypatch.setenv("COLUMNS", width)
    show_matrix(plain_console(), names, np.array([[12345, 3, 0], [17, 0, 1], [0, 0, 5]]))
    assert broken_words(capsys.readouterr().out, {*names[:2], "17"}) == set()


def test_what_is_left_out_is_told(
    results: Winners, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown class, missing ones and a damaged picture; the rest is judged and the exit code is 1."""
    first, second, *others = results.class_names
    for name, source in ((first, first), (second, second), ("weed", first)):
        shutil.copytree(drawn / source, tmp_path / name)
    (tmp_path / first / "zz.jpg").write_bytes(b"\xff\xd8\xff no picture")
    assert main([str(tmp_path), "run=best", results.where]) == 1
    errors = capsys.readouterr().err

    assert "The model does not have the classes weed; their pictures are left out." in errors
    assert f"The folder has no pictures of {', '.join(others)}." in errors
    assert f"{tmp_path / first / 'zz.jpg'} is" in errors
    answer = found(capsys, str(tmp_path), "run=best", results.where, code=1)
    assert (answer["pictures"], answer["unreadable"]) == (24, 1)
    assert (answer["unknown"], answer["missing"]) == (["weed"], others)
    assert answer["classes"][others[0]]["recall"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "data.dir= is missing"),
        (["data.dir=nowhere"], "nowhere does not exist"),
        (["data.dir=empty"], "contains no class folders"),
        (["data.dir=foreign"], "at least one of these classes"),
        (["data.dir=foreign", "subset=train"], "subset has no choice 'train'"),
        (["data.dir=foreign", "output=a.jpg"], "must be a .png file"),
        (["data.dir=foreign", "run=12345678"], "There is no run 12345678"),
    ],
)
def test_bad_input_is_one_sentence(
    results: Winners, capsys: pytest.CaptureFixture[str], *, folder: Path, arguments: list[str], message: str
) -> None:
    """And the exit code is 2."""
    (folder / "empty").mkdir()
    for name in ("cats", "dogs"):
        (folder / "foreign" / name).mkdir(parents=True)
        (folder / "foreign" / name / "1.jpg").touch()

    assert main([*arguments, results.where]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.photos
def test_validation_of_a_real_run_is_the_runs_own(
    some_photos: Path,
    mobilenet_weights: Path,
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Trained on real photographs for an epoch, then judged: the accuracy that was logged, and its loss."""
    from flowersweep.training import train

    model = ["model=mobilenet_frozen", f"model.weights={mobilenet_weights}"]
    shape = [f"data.dir={some_photos}", "trainer.image_size=64", "trainer.epochs=1"]
    config = make_config(*model, *shape)
    trained = train(config)
    answer = found(
        capsys,
        str(some_photos),
        f"run={trained.run_id}",
        f"tracking.dir={config.tracking.dir}",
        "subset=validation",
    )

    assert answer["pictures"] == 40
    assert answer["accuracy"] == pytest.approx(trained.metrics["best/val_accuracy"], abs=1e-6)
    assert answer["loss"] == pytest.approx(trained.metrics["best/val_loss"], abs=1e-3)


@pytest.mark.parametrize("kind", ["table", "json"])
def test_the_matrix_is_drawn_whether_or_not_the_figures_are_read(
    results: Winners, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As in `| true`."""
    matrix = tmp_path / "matrix.png"
    with unread() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert (
            main([f"data.dir={drawn}", "run=best", results.where, f"output={matrix}", f"format={kind}"]) == 0
        )
    with Image.open(matrix) as picture:
        assert picture.format == "PNG"
