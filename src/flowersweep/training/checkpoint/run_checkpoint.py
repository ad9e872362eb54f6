"""The checkpoint of one run: when it is written, and when it is removed."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowersweep.cache.atomic import discard, part_of
from flowersweep.cache.checkpoints import Checkpoint, write_checkpoint
from flowersweep.errors import DataError, infrastructure_failure
from flowersweep.interrupt import Interrupted
from flowersweep.training.history import History

if TYPE_CHECKING:  # it imports Keras
    from flowersweep.training.checkpoint.state import PhaseState

log = logging.getLogger(__name__)

# Of the time of a training: what is lost by an interruption is at most an epoch and fifty times the time of one writing.
SHARE = 0.02


class RunCheckpoint:
    """Keeps the state of a run in one file, which is replaced after an epoch if that costs at most SHARE of the time.

    Args:
        path: The file; None to write none.
        about: What identifies the training, for `interrupted_run`.
        found: The state with which the training goes on; None for one that begins.
        in_new_run: Whether it goes on in another run than the one that was interrupted.
        clock: Gives seconds.

    Attributes:
        found: As above.
        in_same_run: Whether it goes on in the run that was interrupted, which may have recorded its start and its epochs.
        epochs: How many epochs are in the latest state.
    """

    def __init__(
        self,
        path: Path | None,
        about: Mapping[str, Any],
        found: Checkpoint | None = None,
        clock: Callable[[], float] = time.perf_counter,
        *,
        in_new_run: bool = False,
    ) -> None:
        self._path, self._about, self._clock = path, about, clock
        self._earliest = 0.0  # when the next writing is cheap enough
        self.found = found
        self.in_same_run = found is not None and not in_new_run
        self.epochs = 0 if found is None else len(found.about["epochs"])

    @property
    def epochs_before(self) -> Sequence[Mapping[str, float]]:
        """The values of the epochs that were trained before the run was interrupted."""
        return [] if self.found is None else self.found.about["epochs"]

    def of_phase(self, name: str) -> Checkpoint | None:
        """The state with which the run goes on, if it was interrupted in this phase."""
        return self.found if self.found is not None and self.found.about["phase"] == name else None

    def save(self, phase: str, history: History, state: "PhaseState", *, stopped: bool) -> None:
        """Write the state after an epoch, unless the last writing was too short ago.

        A training does not end because its checkpoint cannot be written: it goes on without one.

        Args:
            phase: The name of the phase.
            history: The epochs of the run so far.
            state: That of the phase.
            stopped: Whether the phase ends with this epoch.
        """
        began = self._clock()
        if self._path is None or began < self._earliest:
            return
        if (reason := state.unstorable()) is not None:
            log.warning(
                "No checkpoints are written, because %s, which cannot be stored; see docs/howto/your_own_code.md.",
                reason,
            )
            self._path = None
            return
        about = {
            **self._about,
            "phase": phase,
            "phases": history.phases,
            "epochs": history.epochs,
            "stopped": stopped,
            "state": state.values(),
        }
        try:
            write_checkpoint(self._path, Checkpoint(about, state.arrays()))
        except DataError as error:
            log.warning("%s The training goes on without checkpoints.", error)
            self._path = None
            return
        self.epochs = len(history.epochs)
        self._earliest = self._clock() + (self._clock() - began) / SHARE

    @contextmanager
    def kept_while_needed(
        self, is_stored: Callable[[], bool] = lambda: True, is_finished: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Remove the file at the end of the block, unless an interruption or the infrastructure ended the run.

        Args:
            is_stored: Whether the store has the end of the run; otherwise another machine may have to go on with it.
            is_finished: Whether the run had finished when it was interrupted.
        """
        path = self._path
        try:
            yield
        except BaseException as error:
            failed = isinstance(error, Exception) and infrastructure_failure(error) is None
            if failed or (is_finished() and is_stored()):
                remove(path)
            elif isinstance(error, Interrupted) and self.epochs and not is_finished():
                error.remedy = f"the same command goes on after epoch {self.epochs}"
            raise
        if is_stored():
            remove(path)


def remove(path: Path | None) -> None:
    """Remove a checkpoint, with its part and its lock, as far as that is possible."""
    if path is not None:
        for one in (path, part_of(path), path.with_name(f"{path.name}.lock")):
            discard(one)


NO_CHECKPOINT = RunCheckpoint(None, {})
