"""The callback that restores and saves the state of a phase. Importing this module imports Keras."""

from collections.abc import Mapping
from typing import Any

import keras

from flowersweep.training.checkpoint.run_checkpoint import RunCheckpoint
from flowersweep.training.checkpoint.state import PhaseState
from flowersweep.training.history import History


class Checkpointing(keras.callbacks.Callback):
    """Put back the state with which a phase goes on, and save that of each epoch.

    The last of all callbacks: the others may forget their state when a training begins, and have changed it when an
    epoch ends.

    Args:
        checkpoint: That of the run.
        phase: The name of the phase.
        history: The epochs of the run.
        state: That of the phase.
    """

    def __init__(self, checkpoint: RunCheckpoint, phase: str, history: History, state: PhaseState) -> None:
        super().__init__()
        self._checkpoint, self._phase, self._history, self._state = checkpoint, phase, history, state

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Put the state back."""
        del logs
        if (before := self._checkpoint.of_phase(self._phase)) is not None:
            self._state.restore(before)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save the state."""
        del epoch, logs
        stopped = bool(self.model.stop_training)
        self._checkpoint.save(self._phase, self._history, self._state, stopped=stopped)
