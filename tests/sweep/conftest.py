"""What tests of sweeps share: a Hydra of their own, and two applications without TensorFlow."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hydra_state import hydra_restored

# How training processes are started, and what they import.
COLD = {"test_training_process", "test_other_programs", "test_official", "test_main_module"}


@pytest.fixture(scope="module", autouse=True)
def _hydra_of_the_module() -> Iterator[None]:
    """What a module of tests registers with Hydra is forgotten after it."""
    with hydra_restored():
        yield


@pytest.fixture(autouse=True)
def _warm(request: pytest.FixtureRequest) -> None:
    """Programs of slow tests have imported everything already, unless it is tested how they start."""
    if request.node.get_closest_marker("slow") and request.path.stem not in COLD:
        request.getfixturevalue("warm")


@pytest.fixture(autouse=True)
def _no_storage_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test does to a storage is forgotten after it."""
    monkeypatch.setattr("flowersweep.sweep.storage.patience._recovered", 0.0)


@pytest.fixture(autouse=True)
def _no_variables_of_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that another test has set are forgotten."""
    monkeypatch.setattr("flowersweep.tracking.mlflow_api._given", {})


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The application with a command line (`small_app.py`), at work in an empty folder."""
    application = _imported("small_app", monkeypatch, tmp_path)
    application.configure()  # an earlier module may have imported it, and its registration is forgotten
    return application


@pytest.fixture
def official_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The application written for hydra-optuna-sweeper (`official_app.py`), at work in an empty folder."""
    return _imported("official_app", monkeypatch, tmp_path)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The application without a command line (`stub_app.py`), at work in an empty folder; Hydra is uninitialized."""
    with hydra_restored():
        yield _imported("stub_app", monkeypatch, tmp_path)


def _imported(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    # Training processes import it by its name, too: they get this process's sys.path.
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.chdir(folder)
    return importlib.import_module(name)
