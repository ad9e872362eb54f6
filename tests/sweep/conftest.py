"""The small applications whose sweeps the tests run, in this process or as real ones."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

HERE = Path(__file__).parent


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`small_app`, at work in an empty folder."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(tmp_path)
    return importlib.import_module("small_app")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """`stub_app`, at work in an empty folder; Hydra is left uninitialized."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    yield importlib.import_module("stub_app")
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
