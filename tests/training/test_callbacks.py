"""Callbacks driven by hand-written epochs on one tiny model."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from flowersweep.errors import TrainingError
from flowersweep.training.callbacks import BestWeights, EpochLog, LearningRateGuard, Validation


@pytest.fixture
def model() -> keras.Model:
    """One weight, compiled with SGD at a rate of 0.5."""
    inputs = keras.Input((1,))
    built = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    built.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    return built


def logs(**values: float) -> dict[str, float]:
    """What Keras hands to on_epoch_end."""
    return {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5} | values


class TestEpochLog:
    def test_reads_the_rate_as_the_epoch_began(self, model: keras.Model) -> None:
        """A rate that changes at the end of an epoch is not reported for that epoch."""
        seen: list[tuple[int, Mapping[str, float]]] = []
        callback = EpochLog(100, lambda number, values: seen.append((number, values)))
        callback.set_model(model)

        for rate_after in (0.1, 0.01):
            callback.on_epoch_begin(len(seen))
            callback.on_train_batch_end(0)
            model.optimizer.learning_rate = rate_after
            callback.on_epoch_end(len(seen), logs())

        assert [number for number, _ in seen] == [1, 2]
        assert [values["learning_rate"] for _, values in seen] == pytest.approx([0.5, 0.1])
        assert all(values["seconds"] > 0 and values["images_per_second"] > 0 for _, values in seen)

    def test_counts_on_from_an_earlier_phase(self, model: keras.Model) -> None:
        """Epochs of a second phase follow those of the first."""
        seen: list[int] = []
        callback = EpochLog(100, lambda number, _: seen.append(number), first_epoch=7)
        callback.set_model(model)
        callback.on_epoch_begin(0)
        callback.on_train_batch_end(0)
        callback.on_epoch_end(0, logs())

        assert seen == [8]

    @pytest.mark.parametrize("lost", [{"loss": float("nan")}, {"val_loss": float("inf")}])
    def test_stops_when_the_loss_is_lost(self, model: keras.Model, lost: dict[str, float]) -> None:
        """A loss that is not a finite number ends the run with the epoch, the rate and a remedy."""
        callback = EpochLog(100, lambda *_: None)
        callback.set_model(model)
        callback.on_epoch_begin(2)
        callback.on_train_batch_end(0)

        with pytest.raises(
            TrainingError, match=r"epoch 3 at learning rate 0\.5; lower optimizer\.learning_rate"
        ):
            callback.on_epoch_end(2, logs(**lost))


@dataclass(frozen=True)
class Numbers:
    """A part of two numbers instead of pictures; the first is of class 0, the second of class 1."""

    images: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]


def validation_of(model: keras.Model) -> Validation:
    """Validates a classifier with two classes on the numbers -1 and 1."""
    part = Numbers(np.zeros((2, 1, 1, 3), np.uint8), np.arange(2), np.arange(2, dtype=np.int32))
    batches = tf.data.Dataset.from_tensors((np.array([[-1.0], [1.0]], np.float32), part.labels))
    return Validation(model, batches, part, ["negative", "positive"], lambda: None)


class TestBestWeights:
    @pytest.mark.parametrize(("maximize", "expected"), [(True, 2.0), (False, 1.0)])
    def test_puts_the_best_epochs_weights_back(self, *, maximize: bool, expected: float) -> None:
        """Restored are the weights of the best epoch, the earlier one on a tie, and what was predicted with them."""
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(inputs))
        validation = validation_of(model)
        best = BestWeights(model, validation, "val_accuracy", maximize=maximize)

        for epoch, accuracy in enumerate([0.1, 0.2, 0.2, 0.15], start=1):
            model.set_weights([np.array([[0.0, epoch]])])
            values = logs(val_accuracy=accuracy)
            validation.on_epoch_end(epoch - 1, values.copy())
            best.on_epoch_end(epoch - 1, values)
        predictions = best.restore()

        assert model.get_weights()[0].tolist() == [[0.0, expected]]
        positive = 1 / (1 + np.exp(-expected))
        assert predictions.probabilities[:, 1] == pytest.approx([1 - positive, positive])

    def test_refuses_an_undefined_value(self, model: keras.Model) -> None:
        """The area under the curve of pictures of one class cannot decide which epoch is the best."""
        best = BestWeights(model, validation_of(model), "val_auc", maximize=True)

        with pytest.raises(TrainingError, match=r"val_auc is undefined.*objective\.metric"):
            best.on_epoch_end(0, logs(val_auc=float("nan")))


class TestLearningRateGuard:
    def test_accepts_the_configured_rate(self, model: keras.Model) -> None:
        """Nothing happens when the optimizer holds the configured rate."""
        guard = LearningRateGuard(0.5)
        guard.set_model(model)

        guard.on_train_begin()

    def test_refuses_another_rate(self, model: keras.Model) -> None:
        """An optimizer that brought another rate along ends the run before its first step."""
        model.optimizer.learning_rate = 1e-5
        guard = LearningRateGuard(0.5)
        guard.set_model(model)

        with pytest.raises(TrainingError, match=r"1e-05, but optimizer\.learning_rate is 0\.5"):
            guard.on_train_begin()
