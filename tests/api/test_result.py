"""A run of the results as an object of Python."""

import os
from pathlib import Path

import numpy as np
import pytest

import flowersweep as fs
from flowersweep.api.pictures import Picture, Pictures
from flowersweep.errors import ConfigError, TrackingError
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from winners import SIZE, Winners

PNG = b"\x89PNG content"


def test_a_run_by_its_id(results: Winners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers, its command and its model; the environment of the caller is as before."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://of.the.caller")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    before = dict(os.environ)
    result = fs.load_run(results.runs["petals/1"][:10], results.directory)
    assert result.run_id == results.runs["petals/1"]
    assert (result.name, result.status, result.metric, result.objective) == (
        "1",
        "FINISHED",
        "best/val_accuracy",
        0.8,
    )
    assert result.metrics == {"best/val_accuracy": 0.8}
    assert result.params["seed"] == "0"
    assert result.overrides[0] == "model=cnn"
    assert result.command.startswith("python -m flowersweep model=cnn model.dropout=")
    pictures = np.full((2, SIZE, SIZE, 3), 90.0, np.float32)
    np.testing.assert_allclose(result.model()(pictures), results.models["petals/1"](pictures), atol=1e-6)
    assert result.history.empty
    assert list(result.figures) == []
    assert dict(os.environ) == before


def test_the_model_of_a_repeated_trial(results: Winners) -> None:
    """It is that of its best repeat."""
    pictures = np.full((1, SIZE, SIZE, 3), 200.0, np.float32)
    found = fs.load_run(results.runs["repeated/1"], results.directory).model()
    np.testing.assert_allclose(found(pictures), results.models["repeated/1/1"](pictures), atol=1e-6)


def test_a_repeat_has_the_seed_with_which_it_was_trained(results: Winners) -> None:
    """All repeats of a trial were typed alike but for the seed."""
    result = fs.load_run(results.runs["repeated/0/1"], results.directory)
    assert result.overrides[-1] == "seed=1"
    assert result.command.endswith(" seed=1")


def test_the_command_of_a_trial_of_another_program_runs_that_program(results: Winners) -> None:
    """Its overrides are not those of flowersweep."""
    tags = {"kind": "study", "study": "theirs", "program": "python train.py"}
    study = MLflowTracker.start(results.store, "theirs", "theirs", tags=tags)
    trial = MLflowTracker.start(
        results.store, "theirs", "0", parent_run_id=study.run_id, tags={"kind": "trial"}
    )
    trial.text("lr=0.1\n", "config/overrides.txt")
    command = fs.load_run(trial.run_id, results.directory).command
    client(results.store.uri).delete_run(study.run_id)  # the store is shared, and the latest study counts
    assert command == "python train.py lr=0.1"


def test_figures_and_epochs(results: Winners, tmp_path: Path) -> None:
    """They are read from the run's files, and a notebook shows them."""
    run, service = results.runs["alone/worse"], client(results.store.uri)
    service.log_text(run, "epoch,loss,val_loss\n1,0.5,0.75\n2,0.25,0.5\n", "history.csv")
    (tmp_path / "curves.png").write_bytes(PNG)
    service.log_artifact(run, str(tmp_path / "curves.png"))
    result = fs.load_run(run, results.directory)
    assert result.history["val_loss"].to_dict() == {1: 0.75, 2: 0.5}
    assert list(result.figures) == ["curves"]
    assert result.figures["curves"]._repr_png_() == PNG
    shown = result._repr_html_()
    assert "<b>worse, run" in shown
    assert "<th>best/val_accuracy</th><td>0.6000</td>" in shown
    assert result.figures["curves"].html() in shown
    assert repr(result) == f"<Result {run[:8]} worse: best/val_accuracy 0.6000>"


def test_pictures_are_shown_together() -> None:
    """Each as an image of the page; names are escaped."""
    pictures = Pictures({name: Picture(name, PNG) for name in ("a", "b<")})
    shown = pictures._repr_html_()
    assert shown.count('src="data:image/png;base64,iVBO') == 2
    assert 'alt="b&lt;"' in shown
    assert repr(pictures) == "<Pictures a, b<>"


def test_unknown_runs(results: Winners, tmp_path: Path) -> None:
    """They are refused with the sentences of the commands."""
    with pytest.raises(TrackingError, match="There is no run 00000000"):
        fs.load_run("00000000", results.directory)
    with pytest.raises(ConfigError, match="'best' is not a run"):
        fs.load_run("best", results.directory)
    with pytest.raises(ConfigError, match="'None' is not a run"):
        fs.load_run(None, results.directory)  # type: ignore[arg-type] # what a program may pass
    with pytest.raises(TrackingError, match="There are no results in"):
        fs.load_run("00000000", tmp_path)
