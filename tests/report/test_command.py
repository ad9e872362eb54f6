"""`python -m flowersweep report`: files, what MLflow keeps of them, and refusals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from flowersweep.commands.report import folder_name, main
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.selection import children_of, find_study, trials_of
from flowersweep.tracking.store.store import Store, prepare_store
from pages import Page, trace, trace_curves


def report(store: Store, *arguments: str) -> int:
    """Run the command on the store."""
    assert store.artifact_root is not None
    return main([*arguments, f"tracking.dir={store.artifact_root.parent}"])


@pytest.mark.slow
def test_files(store: Store, repeated: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Page and pictures are written, their paths printed, and kept with the study's run, which stays as it was."""
    before = find_study(store, repeated).info
    assert report(store, f"study={repeated}", f"output={tmp_path}/a/b") == 0
    names = [
        "report.html",
        *(f"{name}.png" for name in ("ranking", "val_accuracy", "val_loss", "learning_rate")),
    ]
    names += ["trade_off.png", "timeline.png"]
    captured = capsys.readouterr()
    printed = captured.out.splitlines()
    assert printed == [str(tmp_path / "a/b" / name) for name in names]
    assert "Study repeated in experiment flowers:" in captured.err
    for path in map(Path, printed[1:]):
        with Image.open(path) as picture:
            assert picture.width >= 900
    after = find_study(store, repeated).info
    kept = client(store.uri).list_artifacts(after.run_id, "report")
    assert {item.path for item in kept} == {f"report/{name}" for name in names}
    assert (after.status, after.end_time) == (before.status, before.end_time)


@pytest.mark.slow
def test_default_folder(
    store: Store,
    searched: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without an output it is reports/STUDY in the current folder, whatever the study is called."""
    monkeypatch.chdir(tmp_path)
    assert report(store, searched) == 0
    printed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert printed[0] == Path("reports") / folder_name(searched) / "report.html"
    assert Path("reports") / folder_name(searched) / "importance.png" in printed
    assert all(path.stat().st_size > 0 for path in printed)


@pytest.mark.parametrize(
    ("study", "folder"),
    [("a b/c", "a-b-c"), ("../..", "study"), ("Blüten.v2", "Blüten.v2"), ("<i>", "i"), ("", "study")],
)
def test_folder_names(study: str, folder: str) -> None:
    """A study's name becomes one folder, which is never above the current one."""
    assert folder_name(study) == folder


def test_refusals(store: Store, repeated: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown study, and a place that cannot be written to, are one sentence each; the exit code is 2."""
    assert report(store, "study=repaeted") == 2
    assert "There is no study 'repaeted'" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert report(store, f"study={repeated}", f"output={tmp_path}/file") == 2
    error = capsys.readouterr().err
    assert f"output={tmp_path}/file/report.html cannot be written" in error
    assert error.endswith("choose another location.\n")
    assert error.count("\n") == 1


def test_help_is_quick() -> None:
    """Help imports neither MLflow nor Plotly nor matplotlib."""
    code = (
        "import sys; from flowersweep.commands.report import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'mlflow', 'plotly', 'matplotlib', 'optuna', 'scipy', 'jinja2'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "output=DIR" in result.stdout
    assert result.stdout.endswith("[]\n")


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_a_real_sweep(tmp_path: Path, drawn: Path, cache: Path) -> None:
    """A sweep of drawn flowers with two seeds, then the report, both as commands: every number traces to MLflow."""
    small = [
        "data=folder",
        f"data.dir={drawn}",
        "trainer.image_size=16",
        "model.filters=[4]",
        "trainer.epochs=2",
        "data.test_split=0.2",
    ]
    places = [f"paths.cache={cache}", f"tracking.dir={tmp_path}/results", "tracking.log_model=false"]
    named = ["hydra.sweeper.n_repeats=2", "hydra.sweeper.study_name=real"]
    sweep = ["--multirun", "aug=none,RandomFlip,RandomZoom", *small, *places, *named]
    prepare_store(tmp_path / "results")  # a copy, which another process would take seconds to make
    result = run(tmp_path, *sweep)
    assert result.returncode == 0, result.stderr
    result = run(tmp_path, "report", "study=real", f"tracking.dir={tmp_path}/results")
    told = f"Study real in experiment flowersweep/{drawn.name}:\n"
    assert (result.returncode, result.stderr) == (0, told)
    html = (tmp_path / "reports/real/report.html").read_text(encoding="utf-8")
    page, store = Page(html), prepare_store(tmp_path / "results")
    assert trace(page, store) == 3 * (4 + 2 + 1 + 2)
    study = find_study(store, "real")
    trials = trials_of(store, study)
    runs = [run.info.run_id for trial in trials for run in children_of(store, trial)]
    assert trace_curves(page, store, runs) == 2 * 6 * 2
    means = {
        one.attributes["data-value"]
        for one in page.with_attribute("data-metric")
        if one.attributes["data-statistic"] == "mean"
    }
    assert {repr(trial.data.metrics["best/val_accuracy"]) for trial in trials} <= means
    assert len(set(runs)) == 6
    assert "hydra.sweeper.n_repeats=2" in html
    assert "worker 1" in page.charts()["timeline"]["layout"]["yaxis"]["ticktext"]
    assert study.data.tags["study.goal"] == "maximize best/val_accuracy"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run flowersweep in a folder."""
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    command = [sys.executable, "-m", "flowersweep", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
