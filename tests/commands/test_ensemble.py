"""The command that combines models: what it stores, prints and refuses."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from ensemble_study import SmallStudy
from flowersweep.commands.ensemble import main
from flowersweep.commands.evaluate import main as evaluate
from flowersweep.commands.promote import main as promote
from flowersweep.tracking.lookup import Files, run_model
from flowersweep.tracking.mlflow_api import client


def made(small: SmallStudy, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """What the command prints, and the id of the run that it makes."""
    assert main(["small", f"tracking.dir={small.directory}", *arguments]) == 0
    out = capsys.readouterr().out
    whole = re.search(r"promote run=([0-9a-f]{32})\b", out)
    assert whole
    return out, whole[1]


def truth(small: SmallStudy, positions: np.ndarray) -> np.ndarray:
    """The true classes of pictures."""
    return np.asarray(small.catalogue.labels[positions])


@pytest.mark.slow
def test_the_ensemble_is_a_run_that_can_be_promoted(
    small: SmallStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its accuracies are those of its saved model, on the validation and on the test pictures."""
    for number in range(3):
        small.add(number, seed=number + 1)
    out, run_id = made(small, capsys, "top=4", "flip=true")

    run = client(small.store.uri).get_run(run_id)
    model = run_model(small.store, run_id)
    for part, metric in ((small.parts.validation, "best/val_accuracy"), (small.parts.test, "test/accuracy")):
        answers = np.asarray(model(small.pictures(part), training=False)).argmax(axis=1)
        assert run.data.metrics[metric] == pytest.approx(np.mean(answers == truth(small, part)))
        assert f"accuracy {run.data.metrics[metric]:.4f}" in out
    assert (run.data.tags["kind"], run.data.tags["mlflow.parentRunId"]) == ("ensemble", small.study.run_id)
    assert "combine=probabilities" in run.data.tags["command"]
    parts = json.loads(Files(small.store, run_id).text("members.json") or "")
    assert all(part["count"] >= 1 and part["temperature"] > 0 for part in parts.values())

    where = f"tracking.dir={small.directory}"
    assert promote([f"run={run_id[:8]}", where]) == 0
    version = client(small.store.uri).get_model_version_by_alias("flowersweep", "champion")
    assert version.run_id == run_id
    assert "python -m flowersweep ensemble study=small top=4" in version.description
    assert evaluate([str(small.drawn), where, f"run={run_id[:8]}", "subset=test"]) == 0
    assert f"accuracy {run.data.metrics['test/accuracy']:.4f}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_soup_of_equal_models_is_that_model(small: SmallStudy, capsys: pytest.CaptureFixture[str]) -> None:
    """The mean weights of two equal models predict what each of them predicts."""
    for number in range(2):
        small.add(number, seed=7)
    _, run_id = made(small, capsys, "combine=weights")

    table = Files(small.store, run_id).text("validation_predictions.csv")
    expected = np.asarray(small.models[0](small.pictures(small.parts.validation), training=False))
    assert table is not None
    found = [[float(cell) for cell in line.split(",")[3:]] for line in table.splitlines()[1:]]
    assert np.array(found) == pytest.approx(expected, abs=2e-6)


@pytest.mark.slow
def test_pictures_that_have_been_moved(
    small: SmallStudy, tmp_path: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their folder can be given; without it one sentence asks for it; other pictures are refused."""
    moved = tmp_path / "moved"
    small.drawn = tmp_path / "gone"
    for number in range(2):
        small.add(number, seed=number + 1)
    shutil.copytree(drawn, moved)
    where = f"tracking.dir={small.directory}"

    assert main(["small", where]) == 2
    assert "give their folder with data.dir=DIR" in capsys.readouterr().err
    assert main(["small", where, f"data.dir={moved}"]) == 0
    next(moved.glob("*/*.jpg")).unlink()
    assert main(["small", where, f"data.dir={moved}"]) == 2
    assert "is not the data that run" in capsys.readouterr().err


def test_models_that_are_not_those_of_the_predictions(
    small: SmallStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    """The selection would have been made on other numbers; nothing is stored."""
    for number in range(2):
        small.add(number, seed=number + 1, recorded=number + 8)
    assert main(["small", f"tracking.dir={small.directory}"]) == 2

    assert "nothing was stored" in capsys.readouterr().err
    assert not client(small.store.uri).search_runs([small.experiment], "tags.kind = 'ensemble'")
