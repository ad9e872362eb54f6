"""In a real kernel: progress, interrupts, and the notebook of the examples."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from flowersweep.tracking.lookup import Files
from flowersweep.tracking.selection import find_study, open_results

nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel to run notebooks")
nbformat = pytest.importorskip("nbformat")

from kernels import Kernel, kernel  # noqa: E402 - it needs the same packages

pytestmark = pytest.mark.slow

# A sweep in another thread, which is stopped when it runs a trial.
STOP = """
import threading, time
caught = []

def call():
    try:
        fs.sweep(overrides, study_name='mine')
    except Exception as error:
        caught.append(error)

thread = threading.Thread(target=call)
thread.start()
study = fs.load_study('mine', 'results')
while 'RUNNING' not in set(study.trials()['state']):
    time.sleep(0.2)
study.stop()
thread.join()
caught
"""
# What the kernel starts has imported TensorFlow; the kernel has not.
WARM = f"""
import sys
sys.path.append({str(ROOT / "tests")!r})
import warm
warming = warm.warm_programs()
warming.__enter__()
"""
# A class of a notebook has no file in which `inspect` could find it.
OWN_LAYER = """
import keras
from flowersweep.api.given import given

@keras.saving.register_keras_serializable(package="mine")
class Half(keras.layers.Layer):
    def call(self, pictures):
        return pictures / 2

def build(input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), Half(), keras.layers.Flatten(), keras.layers.Dense(num_classes)])

given(build).words
"""


def test_an_interrupted_sweep_is_finished_by_the_same_cell(tmp_path: Path, drawn: Path, cache: Path) -> None:
    """The interrupt ends it cleanly; run again, the cell trains only what is missing, and the budget is exact."""
    overrides = [
        "data=folder",
        f"data.dir={drawn}",
        f"paths.cache={cache}",
        f"tracking.dir={tmp_path}/results",
        "trainer=quick",
        "trainer.image_size=32",
        "trainer.epochs=1",
        "tracking.log_figures=false",
        "tracking.log_model=false",
        "aug=none,RandomFlip,RandomZoom,RandomShear",
    ]
    cell = f"import flowersweep as fs\nstudy = fs.sweep({overrides!r}, study_name='mine')\nstudy"
    with kernel(tmp_path) as notebook:
        notebook.run(WARM)
        before, children = _state(notebook), notebook.children()
        stopped = notebook.run(cell, interrupt_at="trial 0 COMPLETE")
        assert stopped.error == (
            "KeyboardInterrupt",
            "interrupted by SIGINT; the same command resumes the sweep.",
        )
        assert "Traceback" not in stopped.text + stopped.streams
        assert len(children) == 1  # the one that is forked
        assert notebook.children() == children
        states = notebook.run("fs.load_study('mine', 'results').trials()['state'].to_dict()").text
        assert states.startswith("{0: 'COMPLETE'")
        assert "RUNNING" not in states
        first = notebook.run("fs.load_study('mine', 'results').trials()['run_id'][0]").text

        stopped = notebook.run(f"overrides = {overrides!r}\n{STOP}")
        assert "SweepStoppedError('stopped by study.stop() on " in stopped.text

        done = notebook.run(cell)
        assert done.error is None
        assert "trial 3 COMPLETE" in done.text
        assert "trial 0 COMPLETE" not in done.text
        table = done.displays.popitem()[1]["text/html"]
        assert "mine: 4 complete" in table
        assert notebook.run("sorted(study.trials().index), set(study.trials()['state'])").text == (
            "([0, 1, 2, 3], {'COMPLETE'})"
        )
        assert notebook.run("study.trials()['run_id'][0]").text == first
        assert _state(notebook) == before
        given = notebook.run(OWN_LAYER).displays.popitem()[1]["text/plain"]
        assert "model.build=build_" in given
        (module,) = (tmp_path / "own_code").glob("build_*.py")
        assert "class Half(keras.layers.Layer):" in module.read_text(encoding="utf-8")
    store = open_results(str(tmp_path / "results"))
    typed = Files(store, find_study(store, "mine").info.run_id).text("study/command.txt")
    assert shlex.split(str(typed)) == [
        *["python", "-m", "flowersweep", "--multirun", *overrides],
        "hydra.sweeper.study_name=mine",
    ]


@pytest.mark.usefixtures("warm")
def test_the_tour(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs, and shows what it shows where the notebook is read."""
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(cache))
    notebook = nbformat.read(ROOT / "examples/tour.ipynb", 4)
    stored = [_shown(cell) for cell in notebook.cells]
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    assert [_shown(cell) for cell in notebook.cells] == stored
    (page,) = tmp_path.glob("reports/*/report.html")
    assert "RandomFlip" in page.read_text(encoding="utf-8")


def _shown(cell: Any) -> list[tuple[str, list[str]]]:
    """The kinds of a cell's outputs, and their MIME types."""
    return [(one.output_type, sorted(one.get("data", {}))) for one in cell.get("outputs", [])]


def _state(notebook: Kernel) -> str:
    """What a call must not change in its process."""
    return notebook.run(
        "import logging, os, signal, sys, threading\n"
        "(dict(os.environ), [signal.getsignal(one) for one in signal.valid_signals()], os.getcwd(),"
        " logging.getLogger().handlers, logging.getLogger().level, sys.argv, 'tensorflow' in sys.modules)"
    ).text
