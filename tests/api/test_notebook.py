"""In a real kernel: progress, interrupts, and the notebook of the examples."""

from pathlib import Path

import pytest

pytest.importorskip("jupyter_client", reason="pip install nbclient ipykernel to run notebooks")

from kernels import Kernel, kernel

pytestmark = pytest.mark.slow


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
        "aug=none,RandomFlip,RandomZoom",
    ]
    cell = f"import flowersweep as fs\nstudy = fs.sweep({overrides!r}, study_name='mine')\nstudy"
    with kernel(tmp_path) as notebook:
        before = _state(notebook)
        stopped = notebook.run(cell, interrupt_at="trial 0 COMPLETE")
        assert stopped.error == (
            "Interrupted",
            "interrupted by SIGINT; the same command resumes the sweep.",
        )
        assert "Traceback" not in stopped.text + stopped.streams
        assert notebook.children() == []
        states = notebook.run("fs.load_study('mine', 'results').trials()['state'].to_dict()").text
        assert states.startswith("{0: 'COMPLETE'")
        assert "RUNNING" not in states
        first = notebook.run("fs.load_study('mine', 'results').trials()['run_id'][0]").text

        done = notebook.run(cell)
        assert done.error is None
        assert "trial 2 COMPLETE" in done.text
        assert "trial 0 COMPLETE" not in done.text
        table = done.displays.popitem()[1]["text/html"]
        assert "mine: 3 complete" in table
        assert notebook.run("sorted(study.trials().index), set(study.trials()['state'])").text == (
            "([0, 1, 2], {'COMPLETE'})"
        )
        assert notebook.run("study.trials()['run_id'][0]").text == first
        assert _state(notebook) == before


def _state(notebook: Kernel) -> str:
    """What a call must not change in its process."""
    return notebook.run(
        "import logging, os, signal, sys, threading\n"
        "(dict(os.environ), [signal.getsignal(one) for one in signal.valid_signals()], os.getcwd(),"
        " logging.getLogger().handlers, logging.getLogger().level, sys.argv, 'tensorflow' in sys.modules)"
    ).text
