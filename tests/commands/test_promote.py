"""The command that promotes: what it prints and what it refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flowersweep.commands.promote import main
from flowersweep.data import decode
from flowersweep.deploy.choose import choose
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.tracking.lookup import Files
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from tables_read import broken_words
from winners import SIZE, Winners

MAKE = shutil.which("make")


def test_the_table_says_what_was_promoted(results: Winners, capsys: pytest.CaptureFixture[str]) -> None:
    """Model, version, alias, value and the previous one."""
    assert main(["petals", results.where, "name=printed"]) == 0
    first = capsys.readouterr().out
    assert main([f"run={results.runs['alone/good'][:8]}", results.where, "name=printed"]) == 0
    second = capsys.readouterr().out

    for text in (
        "printed",
        "champion",
        "0.8000",
        "petals, trial 1",
        "sweep",
        results.runs["petals/1"],
        "none",
    ):
        assert text in first
    assert "version 1, best/val_accuracy 0.8000" in second
    assert client(results.store.uri).get_model_version_by_alias("printed", "champion").version == 2


@pytest.mark.slow
def test_a_calibrated_model_has_a_run_of_its_own(
    results: Winners, drawn: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is served with divided logits; promoting it again finds it, and the best run is still the trained one."""
    arguments = [f"run={results.runs['petals/1']}", results.where, "name=calm"]
    assert main([*arguments, "temperature=fit", "alias=v1"]) == 2
    service = client(results.store.uri)
    experiment = service.get_run(results.runs["petals/1"]).info.experiment_id
    assert not service.search_runs([experiment], "tags.kind = 'calibrated'")
    MLflowTracker(results.store, results.runs["petals/1"]).text("file,part\n", "config/split.csv")
    assert main([*arguments, "temperature=fit"]) == 0
    told = capsys.readouterr().out
    assert main([*arguments, "temperature=fit"]) == 0
    assert "1 (registered before)" in capsys.readouterr().out

    (run,) = service.search_runs([experiment], "tags.kind = 'calibrated'")
    assert Files(results.store, run.info.run_id).text("config/split.csv") == "file,part\n"
    temperature = float(run.data.params["temperature"])
    assert f"The temperature {temperature:.4g}, fitted on 60 validation pictures" in told
    assert run.data.metrics["best/val_loss"] < run.data.metrics["calibration/val_loss_before"]
    assert run.data.metrics["best/val_accuracy"] == 0.8
    choice = choose("models:/calm@champion", directory=str(results.directory))
    assert choice.run_id == run.info.run_id
    pictures = np.stack([decode(path, SIZE) for path in sorted(drawn.rglob("*.jpg"))[::7]])
    raised = np.asarray(results.models["petals/1"](pictures.astype(np.float32))) ** (1 / temperature)
    expected = raised / raised.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(LocalPredictor(choice, 4)(pictures), expected, atol=1e-5)
    assert choose("best", study="petals", directory=str(results.directory)).run_id == results.runs["petals/1"]


@pytest.mark.parametrize("width", ["40", "80"])
def test_ids_can_be_copied(
    width: str, results: Winners, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No id is broken at any width."""
    monkeypatch.setenv("COLUMNS", width)
    assert main(["petals", results.where, "name=copied"]) == 0
    assert broken_words(capsys.readouterr().out, {results.runs["petals/1"], "best/val_accuracy"}) == set()


def test_nothing_is_left_in_the_current_folder(
    results: Winners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow makes a global store there as soon as it is asked for a model without its store."""
    monkeypatch.chdir(tmp_path)
    assert main(["study=petals", results.where, "name=elsewhere"]) == 0

    assert list(tmp_path.iterdir()) == []


def test_a_registry_elsewhere_is_ignored(
    results: Winners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is where predict and make serve look for it: in the store that the command was told of."""
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    assert main(["study=petals", results.where, "name=here"]) == 0

    assert client(results.store.uri).get_model_version_by_alias("here", "champion").version == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(MAKE is None, reason="there is no make here")
def test_make_passes_no_other_registry_on() -> None:
    """What `make serve` starts does not see where the environment says that another registry is."""
    elsewhere = dict.fromkeys(("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"), "elsewhere")
    done = subprocess.run(
        [str(MAKE), "--no-print-directory", "--eval", "probe: ; @env", "probe"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **elsewhere, "KEPT": "elsewhere"},
        capture_output=True,
        check=True,
        text=True,
    )

    assert [line for line in done.stdout.splitlines() if line.endswith("=elsewhere")] == ["KEPT=elsewhere"]


def test_again_is_told(results: Winners, capsys: pytest.CaptureFixture[str]) -> None:
    """The same winner keeps its version."""
    for _ in range(2):
        assert main(["study=petals", results.where, "name=again", "alias=best"]) == 0

    assert "1 (registered before)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study=petal"], "There is no study 'petal'; "),
        (["study=bare"], "has saved no model; train it again with\n"),
        (["study=petals", "alias=latest"], "alias=latest is not allowed"),
        (["study=petals", "name=a/b"], "name=a/b is not allowed"),
        (["stdy=petals"], "'stdy' is not an argument of this command"),
    ],
)
def test_bad_input_is_one_sentence(
    results: Winners, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """And the exit code is 2."""
    assert main([*arguments, results.where]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["promote", "predict", "export", "evaluate"])
def test_help_and_refusals_import_no_tensorflow(name: str, tmp_path: Path) -> None:
    """All arguments are explained; without results one sentence says how to get some."""
    given = {"predict": "images=.", "export": "format=keras output=a.keras", "evaluate": "data.dir=."}
    code = (
        f"import sys; from flowersweep.commands.{name} import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print(main({[*given.get(name, '').split(), f'tracking.dir={tmp_path}']}))\n"
        "print('tensorflow' in sys.modules, 'mlflow' in sys.modules)"
    )
    (tmp_path / "flower.jpg").touch()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=tmp_path
    )

    assert "run=RUN" in done.stdout
    assert f"example: python -m flowersweep {name}" in done.stdout
    assert f"There are no results in {tmp_path}; train a model first" in done.stderr
    assert done.stdout.endswith("2\nFalse False\n")
