"""When the checkpoint of a run is written and removed."""

import errno
import signal
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from flowersweep.cache.checkpoints import read_about, read_checkpoint
from flowersweep.errors import DataError, Pruned
from flowersweep.interrupt import Interrupted
from flowersweep.training.checkpoint.run_checkpoint import RunCheckpoint
from flowersweep.training.history import History


class State:
    """A state whose taking takes some seconds of a clock."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.now = 0.0
        self.taken: list[float] = []
        self._seconds = seconds
        self.odd: str | None = None

    def unstorable(self) -> str | None:
        """Nothing, or what a test says."""
        return self.odd

    def values(self) -> dict[str, float]:
        """When it was taken."""
        self.taken.append(self.now)
        self.now += self._seconds
        return {"taken": self.taken[-1]}

    def arrays(self) -> dict[str, list[np.ndarray]]:
        """Something."""
        return {"some": [np.arange(3)]}


def epochs(n: int) -> History:
    """A history."""
    return History("val_loss", [{"loss": 1.0}] * n, [("training", 1)])


def save(checkpoint: RunCheckpoint, state: State, n: int) -> None:
    """Save after epoch n."""
    checkpoint.save("training", epochs(n), state, stopped=False)  # type: ignore[arg-type] # what it needs of one


def test_writing_takes_a_fiftieth_of_the_time(tmp_path: Path) -> None:
    """Epochs of a second and states that take half a second: every 25th epoch is written, after the first."""
    state = State(seconds=0.5)
    checkpoint = RunCheckpoint(tmp_path / "c" / "run.npz", {"identity": "x"}, clock=lambda: state.now)
    for number in range(1, 101):
        state.now += 1
        save(checkpoint, state, number)

    assert len(state.taken) == 4
    assert sum(0.5 for _ in state.taken[:-1]) <= 0.02 * state.taken[-1]
    found = read_checkpoint(tmp_path / "c" / "run.npz")
    assert found is not None
    assert (len(found.about["epochs"]), checkpoint.epochs) == (76, 76)
    assert found.arrays["some"][0].tolist() == [0, 1, 2]
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"run.npz", "run.npz.lock"}


def test_a_full_disk_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, no half file is left, and the earlier checkpoint stays."""
    state = State()
    path = tmp_path / "run.npz"
    checkpoint = RunCheckpoint(path, {}, clock=lambda: state.now)
    save(checkpoint, state, 1)

    def full(*_args: object, **_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    for number in (2, 3):
        save(checkpoint, state, number)

    (message,) = caplog.messages
    assert f"{path} cannot be written: No space left on device" in message
    assert message.endswith("The training goes on without checkpoints.")
    assert {one.name for one in tmp_path.iterdir()} == {"run.npz", "run.npz.lock"}
    assert len((read_about(path) or {})["epochs"]) == 1


def test_a_callback_that_cannot_be_stored_means_no_checkpoints(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that went on without a part of its state would be another one."""
    state = State()
    state.odd = "Mine.x is a ndarray"
    checkpoint = RunCheckpoint(tmp_path / "run.npz", {})
    for number in (1, 2):
        save(checkpoint, state, number)

    (message,) = caplog.messages
    assert message.startswith(
        "No checkpoints are written, because Mine.x is a ndarray, which cannot be stored"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (None, False),
        (ValueError("the run's own"), False),
        (Pruned(), False),
        (DataError("the disk's"), True),
        (Interrupted(signal.SIGTERM), True),
    ],
)
def test_it_is_removed_when_the_run_ends_for_a_reason_of_its_own(
    error: BaseException | None, *, kept: bool, tmp_path: Path
) -> None:
    """After an interruption and a failure of the infrastructure it is needed; an interruption says how to go on."""
    path = tmp_path / "run.npz"
    checkpoint = RunCheckpoint(path, {})
    expected = nullcontext() if error is None else pytest.raises(type(error))

    def run() -> None:
        with checkpoint.kept_while_needed():
            save(checkpoint, State(), 3)
            if error is not None:
                raise error

    with expected:
        run()

    assert path.exists() == kept
    if isinstance(error, Interrupted):
        assert error.remedy == "the same command goes on after epoch 3"


def test_it_is_kept_while_the_result_waits(tmp_path: Path) -> None:
    """A machine that is cut off may have finished a training, and another one has to go on with it all the same."""
    path = tmp_path / "run.npz"
    for is_stored in (False, True):
        checkpoint = RunCheckpoint(path, {})
        with checkpoint.kept_while_needed(lambda: is_stored):  # noqa: B023 (called in the same turn)
            save(checkpoint, State(), 3)
        assert path.exists() != is_stored


def test_a_run_that_has_finished_does_not_go_on(tmp_path: Path) -> None:
    """A signal at its very end neither keeps the checkpoint nor promises anything."""
    path = tmp_path / "run.npz"
    checkpoint = RunCheckpoint(path, {})

    def run() -> None:
        with checkpoint.kept_while_needed(is_finished=lambda: True):
            save(checkpoint, State(), 3)
            raise Interrupted(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught:
        run()
    assert (path.exists(), caught.value.remedy) == (False, "")


@pytest.mark.parametrize("number", [errno.EROFS, errno.ESTALE, errno.EIO, errno.EPERM])
def test_a_checkpoint_that_cannot_be_removed_changes_no_end(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A finished training has finished, and a failed one has its own error; a line names the file that stays."""
    path = tmp_path / "run.npz"
    path.touch()

    def refuse(_path: Path, **_given: object) -> None:
        raise OSError(number, "refused")

    def fail() -> None:
        with RunCheckpoint(path, {}).kept_while_needed():
            raise ValueError("the run's own")

    monkeypatch.setattr(Path, "unlink", refuse)
    with RunCheckpoint(path, {}).kept_while_needed():
        pass
    with pytest.raises(ValueError, match="the run's own"):
        fail()

    assert caplog.messages == [f"{path} is not needed any more and cannot be removed (refused)."] * 2


def test_a_disk_that_becomes_read_only_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither can the new checkpoint be written then, nor what is left of it be removed."""
    checkpoint = RunCheckpoint(tmp_path / "run.npz", {})

    def refuse(*_args: object, **_given: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(np, "savez", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with checkpoint.kept_while_needed():
        save(checkpoint, State(), 1)

    assert any(message.endswith("The training goes on without checkpoints.") for message in caplog.messages)
