"""What changes from epoch to epoch, taken from one training and put into another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from flowersweep.cache.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from flowersweep.training.callbacks import BestWeights, Validation
from flowersweep.training.checkpoint.state import PhaseState
from flowersweep.training.probabilities import Predictions

# The rate is reduced and the training stops on the way, whatever they are cut into.
LOSSES = (1.0, 0.5, 0.6, 0.4, 0.45, 0.42, 0.41, 0.43)


class Counting(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
    """A user's callback with state of all kinds that can be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.seen: list[float] = []
        self.names: dict[Any, Any] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Count, and remember."""
        self.count += 1
        self.seen.append((logs or {})["val_loss"])
        self.names[f"epoch {epoch}"] = {"best": min(self.seen)}


CALLBACKS: dict[str, Callable[[], keras.callbacks.Callback]] = {
    "plateau": lambda: keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, cooldown=1),
    "early stopping": lambda: keras.callbacks.EarlyStopping("val_loss", patience=3, min_delta=0.05),
    "own": Counting,
}


class Training:
    """A model with dropout, driven by hand-written epochs."""

    def __init__(self, callback: keras.callbacks.Callback, seed: int = 0) -> None:
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((8,))
        hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(8)(inputs))
        self.model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
        self.model.compile(keras.optimizers.AdamW(0.1, use_ema=True), "mse")
        self.model.optimizer.build(self.model.trainable_variables)
        self.callback = callback
        validation = Validation.__new__(Validation)  # of which only the predictions are read
        self.best = BestWeights(self.model, validation, "val_loss", maximize=False)
        self.validation = validation
        variables = (*self.model.variables, *self.model.optimizer.variables)
        self.state = PhaseState(variables, self.best, [callback])
        callback.set_model(self.model)
        callback.set_params({"epochs": len(LOSSES)})
        callback.on_train_begin()
        self.model.stop_training = False

    def epoch(self, number: int) -> float:
        """Train one epoch and return its loss."""
        rng = np.random.default_rng(number)
        loss = self.model.train_on_batch(rng.normal(size=(16, 8)), rng.normal(size=(16, 1)))
        self.validation.predictions = Predictions(np.full((1, 2), number, np.float32), np.zeros(1, np.int32))
        logs = {"val_loss": LOSSES[number]}
        self.callback.on_epoch_end(number, logs)
        self.best.on_epoch_end(number, logs)
        return float(loss)

    def everything(self) -> list[object]:
        """All that must be equal."""
        arrays = self.state.arrays()
        return [
            {name: [array.tolist() for array in group] for name, group in arrays.items()},
            self.state.values(),
            self.model.stop_training,
        ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", CALLBACKS)
def test_a_training_goes_on_as_if_there_had_been_no_interruption(kind: str, tmp_path: Path) -> None:
    """Through a file, into a training of other weights: losses, dropout, optimizer, averages, callback and best epoch."""
    whole = Training(CALLBACKS[kind]())
    expected = [whole.epoch(number) for number in range(8)]
    first = Training(CALLBACKS[kind]())
    losses = [first.epoch(number) for number in range(3)]
    about = {"state": first.state.values()}
    write_checkpoint(tmp_path / "one.npz", Checkpoint(about, first.state.arrays()))

    second = Training(CALLBACKS[kind](), seed=5)
    stored = read_checkpoint(tmp_path / "one.npz")
    assert stored is not None
    second.state.restore(stored)
    losses += [second.epoch(number) for number in range(3, 8)]

    assert losses == expected
    assert second.everything() == whole.everything()
    assert second.best.restore().probabilities[0, 0] == 3.0  # that of the lowest loss
    if kind == "plateau":
        assert float(second.model.optimizer.learning_rate) < 0.06
    if kind == "early stopping":
        assert second.model.stop_training


def test_what_cannot_be_stored_is_named() -> None:
    """Functions and classes do not change, so they may stay behind; arrays and objects of one's own may not."""
    callback = Counting()
    training = Training(callback)
    callback.choose = max
    assert training.state.unstorable() is None
    callback.names["odd"] = {1: "the key is no text"}
    assert training.state.unstorable() == "Counting.names is a dict"
    callback.names = {}
    callback.kept = np.zeros(2)
    assert training.state.unstorable() == "Counting.kept is a ndarray"
    assert json.dumps(training.state.values())
