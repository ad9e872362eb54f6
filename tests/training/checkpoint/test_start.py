"""In which run a training goes on."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from flowersweep.cache.checkpoints import Checkpoint, checkpoint_path, write_checkpoint
from flowersweep.config import Config
from flowersweep.errors import TrackingError
from flowersweep.interrupt import Interrupted
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.training.checkpoint import start
from flowersweep.training.checkpoint.start import started_or_resumed
from flowersweep.training.history import History

CONTENT = {"configuration": {"seed": 0}}
TAGS = {"study": "s", "kind": "trial", "trial": 1}


@pytest.fixture
def config(make_config: Callable[..., Config], tmp_path: Path) -> Config:
    """One with checkpoints of its own."""
    return make_config(f"paths.checkpoints={tmp_path}/own")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of its own."""
    return prepare_store(tmp_path / "results")


class State:
    """A state without content."""

    def unstorable(self) -> None:
        """It can be stored."""

    def values(self) -> dict[str, float]:
        """None."""
        return {}

    def arrays(self) -> dict[str, list[np.ndarray]]:
        """None."""
        return {}


class Trial:
    """A trial of a study, whose machines are cut off."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config, self.store = config, store
        self.parent = MLflowTracker.start(store, "demo", "study").run_id

    def begun(self, *, epochs: int = 0) -> MLflowTracker:
        """A run of it that is RUNNING, with a checkpoint if it has epochs."""
        tracker = MLflowTracker.start(self.store, "demo", "cnn", parent_run_id=self.parent, tags=TAGS)
        about = {"identity": ["cnn", None, self.parent, "s", "trial", "1", "None"], "content": CONTENT}
        if epochs:
            content = Checkpoint({**about, "epochs": [{}] * epochs}, {"some": [np.arange(2)]})
            write_checkpoint(self.checkpoint(tracker.run_id), content)
        return tracker

    def checkpoint(self, run_id: str) -> Path:
        """The path of a run's checkpoint."""
        return checkpoint_path(Path(str(self.config.paths.checkpoints)), run_id)

    def goes_on(self, silent: str) -> tuple[str, int]:
        """The run in which it goes on while one is silent, and after how many epochs."""
        runs = [client(self.store.uri).get_run(silent)]
        started = started_or_resumed(
            self.config, self.store, "cnn", parent=self.parent, tags=TAGS, content=CONTENT, silent=runs
        )
        with started as (tracker, checkpoint):
            return tracker.run_id, checkpoint.epochs


@pytest.fixture
def trial(config: Config, store: Store) -> Trial:
    """A trial without a run."""
    return Trial(config, store)


@pytest.mark.slow
def test_a_silent_machine_loses_its_run_to_an_older_one(trial: Trial) -> None:
    """If the training goes on in a run whose checkpoint is only here, the later one of another machine is KILLED."""
    older = trial.begun(epochs=2)
    older.end(RunStatus.KILLED)
    silent = trial.begun()

    assert trial.goes_on(silent.run_id) == (older.run_id, 2)
    silent.end(RunStatus.FINISHED)
    run = client(trial.store.uri).get_run(silent.run_id)
    assert (run.info.status, run.data.tags["flowersweep.superseded_by"]) == ("KILLED", older.run_id)


def test_a_checkpoint_that_is_removed_after_it_was_read(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training goes on with what was read, although the machine that came back has removed the file."""
    silent = trial.begun(epochs=2).run_id
    begin = MLflowTracker.start

    def meanwhile(*given: Any, **named: Any) -> MLflowTracker:
        trial.checkpoint(silent).unlink()
        return begin(*given, **named)

    monkeypatch.setattr(MLflowTracker, "start", meanwhile)
    run_id, epochs = trial.goes_on(silent)
    assert (run_id == silent, epochs) == (False, 2)


def test_a_folder_that_can_only_be_read(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its checkpoint is used; that no other one can be written is told in one sentence, as without a checkpoint there."""
    trial = Trial(config, store)
    ended = trial.begun(epochs=2)
    ended.end(RunStatus.KILLED)

    def refuse(*_given: object, **_named: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(FileLock, "acquire", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    begun = started_or_resumed(config, store, "cnn", parent=trial.parent, tags=TAGS, content=CONTENT)
    with begun as (tracker, checkpoint):
        assert (tracker.run_id, checkpoint.epochs) == (ended.run_id, 2)
        for number in (3, 4):
            checkpoint.save("training", History("val_loss", [{}] * number), State(), stopped=False)  # type: ignore[arg-type] # a part of one

    path = trial.checkpoint(ended.run_id)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        (
            f"{path} cannot be written: Read-only file system; make it writable, or choose another folder with "
            "paths.checkpoints=PATH. The training goes on without checkpoints."
        ),
    ]


@pytest.mark.parametrize(
    ("error", "status"), [(Interrupted(signal.SIGTERM), "KILLED"), (TrackingError("refused"), "FAILED")]
)
@pytest.mark.parametrize("name", ["tags", "supersede", "_move"])
def test_a_run_that_cannot_go_on_ends(
    name: str, error: BaseException, status: str, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens before its training has begun, it is not left RUNNING, and the next attempt goes on."""
    ended = trial.begun(epochs=2)
    if name != "_move":
        ended.end(RunStatus.KILLED)
    silent = ended if name == "_move" else trial.begun()

    def fail(*_given: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(MLflowTracker if name == "tags" else start, name, fail)
        with pytest.raises(type(error)):
            trial.goes_on(silent.run_id)

    runs = client(trial.store.uri).search_runs(
        [client(trial.store.uri).get_run(trial.parent).info.experiment_id]
    )
    left = {run.info.run_id: run.info.status for run in runs}
    del left[trial.parent], left[silent.run_id]
    assert set(left.values()) == {status}
    assert trial.goes_on(silent.run_id)[1] == 2
