"""Which interrupted run a training goes on with."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from conftest import MakeConfig
from flowersweep.cache.checkpoints import Checkpoint, checkpoint_path, checkpoint_paths, write_checkpoint
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.training.checkpoint.interrupted import interrupted_run, remove_finished
from flowersweep.training.checkpoint.start import started_or_resumed

CONTENT = {"configuration": {"seed": 0}, "code": "abc", "data": "def"}
ABOUT = {"identity": ["cnn", "demo"], "content": CONTENT}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of its own."""
    return prepare_store(tmp_path / "results")


def add(
    store: Store,
    cache: Path,
    status: RunStatus | None = RunStatus.KILLED,
    changed: Mapping[str, object] = MappingProxyType({}),
) -> str:
    """A run with a checkpoint after its second epoch."""
    tracker = MLflowTracker.start(store, "demo", "cnn")
    if status is not None:
        tracker.end(status)
    stored = {**ABOUT, "epochs": [{}, {}], **changed}
    write_checkpoint(checkpoint_path(cache, tracker.run_id), Checkpoint(stored, {"some": [np.arange(2)]}))
    return tracker.run_id


def found(store: Store, cache: Path) -> str | None:
    """The run that is found."""
    with interrupted_run(cache, ABOUT, store) as run:
        return None if run is None else run.run_id


def test_only_a_run_that_nobody_trains(store: Store, tmp_path: Path) -> None:
    """Finished runs and those of living processes are not touched, nor runs of another store; of two the newer one goes on."""
    assert found(store, tmp_path) is None
    add(store, tmp_path, RunStatus.FINISHED)
    add(store, tmp_path, None)
    checkpoint_path(tmp_path, "0" * 32).write_bytes(
        checkpoint_path(tmp_path, add(store, tmp_path, None)).read_bytes()
    )
    assert found(store, tmp_path) is None
    add(store, tmp_path)
    newest = add(store, tmp_path, RunStatus.FAILED)
    assert found(store, tmp_path) == newest


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"identity": ["cnn", "another"]}, None),
        ({"content": CONTENT | {"configuration": {"seed": 1}}}, None),
        ({"content": CONTENT | {"data": "ghi"}}, "its pictures have changed"),
        ({"content": CONTENT | {"code": "ghi"}}, "another version of flowersweep is installed"),
    ],
)
def test_another_training_starts_at_its_first_epoch(
    changed: dict[str, object],
    reason: str | None,
    store: Store,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If the same configuration was interrupted, a sentence says why it does not go on."""
    run_id = add(store, tmp_path, RunStatus.KILLED, changed)

    assert found(store, tmp_path) is None
    expected = f"The training starts at its first epoch and not after epoch 2 of run {run_id}, which was interrupted, because"
    assert caplog.messages == ([] if reason is None else [f"{expected} {reason}."])


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["an array", "the description", "the end"])
def test_a_damaged_checkpoint_is_named(
    damage: str, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that the disk has damaged is never read as another one, and one sentence says that it is lost."""
    path = checkpoint_path(tmp_path, add(store, tmp_path))
    content = bytearray(path.read_bytes())
    if damage == "the end":
        del content[-100:]
    else:
        content[content.rindex(np.arange(2).tobytes() if damage == "an array" else b"identity")] ^= 1
    path.write_bytes(content)

    assert found(store, tmp_path) is None
    assert caplog.messages == [
        f"{path} is damaged; a training that would go on after it starts at its first epoch."
    ]
    assert not path.exists()


def test_a_checkpoint_that_cannot_be_read_stays(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that fails for a moment costs no run its checkpoint; an older one is taken meanwhile."""
    older = add(store, tmp_path)
    path = checkpoint_path(tmp_path, add(store, tmp_path))
    path.unlink()
    path.symlink_to("/proc/self/mem")  # reading its first byte is an input/output error

    assert found(store, tmp_path) == older
    assert path.is_symlink()
    assert caplog.messages == [
        f"{path} cannot be read now (Input/output error); no training goes on after it."
    ]


def test_checkpoints_of_finished_runs_are_removed(store: Store, tmp_path: Path) -> None:
    """One stays if the store is away at the end of its run; those of other runs and stores, and young ones, stay."""
    states = (RunStatus.FINISHED, RunStatus.KILLED, RunStatus.FAILED, None)
    finished, *others = [checkpoint_path(tmp_path, add(store, tmp_path, state)) for state in states]
    young = checkpoint_path(tmp_path, add(store, tmp_path, RunStatus.FINISHED))
    foreign = checkpoint_path(tmp_path, "0" * 32)
    foreign.write_bytes(finished.read_bytes())
    for path in (finished, *others, foreign):
        os.utime(path, (1, 1))
    remove_finished(tmp_path, store)

    assert set(checkpoint_paths(tmp_path)) == {*others, young, foreign}
    assert not finished.with_name(f"{finished.name}.lock").exists()


def test_a_run_removes_what_is_left_of_finished_ones(
    store: Store, tmp_path: Path, make_config: MakeConfig
) -> None:
    """Before it starts, in the folder in which it looks for its own checkpoint."""
    path = checkpoint_path(tmp_path, add(store, tmp_path, RunStatus.FINISHED))
    os.utime(path, (1, 1))
    config = make_config(f"paths.checkpoints={tmp_path}")
    with started_or_resumed(config, store, "cnn", parent=None, tags={}, content=CONTENT) as (tracker, _):
        tracker.end(RunStatus.FINISHED)

    assert not path.exists()
