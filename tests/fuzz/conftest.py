"""The command line without what it leads to."""

from pathlib import Path

import pytest

from flowersweep import training
from flowersweep.errors import ConfigError
from flowersweep.sweep import run
from fuzzing import Command


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The command line in a folder of its own; a good configuration ends as it would without pictures."""

    def stop(*_: object, **__: object) -> None:
        raise ConfigError("The configuration can be used.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(training, "train", stop)
    monkeypatch.setattr(run, "_content", stop)
    return Command(monkeypatch, capfd)
