"""The examples in the docstrings of what a program of one's own may call are run."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from winners import Winners


def run_examples(module: str) -> None:
    """Run the examples of a module, of which there is one at least; what differs is printed."""
    found = doctest.testmod(import_module(module))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples write to the current folder and to the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(cache))


@pytest.mark.parametrize(
    "module",
    [
        "flowersweep.augment.base",
        "flowersweep.config.validate",
        "flowersweep.sweep.workers.trial",
        "flowersweep.tracking.store.store",
    ],
)
def test_examples(module: str) -> None:
    """They give what they say, in an empty folder."""
    run_examples(module)


@pytest.mark.parametrize("module", ["flowersweep.deploy.choose", "flowersweep.deploy.predictor"])
def test_examples_with_results(module: str, results: Winners, tmp_path: Path) -> None:
    """They give what they say where there is a study called petals."""
    (tmp_path / "results").symlink_to(results.directory)
    run_examples(module)


@pytest.mark.slow
def test_the_example_that_trains() -> None:
    """It trains and logs a run, on drawn flowers."""
    run_examples("flowersweep.training.run")
