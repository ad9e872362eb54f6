"""Keras callbacks of a run. Importing this module imports Keras."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy.typing as npt

from flowersweep.config.own_code import own_callbacks
from flowersweep.config.schema import Config
from flowersweep.data.stream import Part
from flowersweep.doors.keras_api import averages
from flowersweep.errors import ConfigError, TrainingError
from flowersweep.own.code import Code
from flowersweep.training.history import RECALL
from flowersweep.training.probabilities import Predictions, predict, traced

EpochCallback = Callable[[int, Mapping[str, float]], None]


class EpochLog(keras.callbacks.Callback):
    """Collect the values of each epoch and pass them on.

    The values of an epoch are loss, accuracy, those of `Validation`, learning_rate (read from the optimizer at the start
    of the epoch), seconds (training and validation) and images_per_second (training only).

    Args:
        train_count: Training pictures per epoch.
        on_epoch: Called with the epoch's number, counted from 1, and its values.
        first_epoch: Number of epochs of earlier phases.

    Raises:
        TrainingError: The loss is not a number, or infinite.
    """

    def __init__(self, train_count: int, on_epoch: EpochCallback, *, first_epoch: int = 0) -> None:
        super().__init__()
        self._train_count = train_count
        self._on_epoch = on_epoch
        self._first_epoch = first_epoch
        self._learning_rate = math.nan
        self._began = self._trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Read the learning rate before this epoch can change it."""
        del epoch, logs
        self._learning_rate = float(self.model.optimizer.learning_rate)
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Measure the training time; the last batch determines it."""
        del batch, logs
        self._trained = time.perf_counter() - self._began

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Pass the epoch's values on, unless the loss is not finite."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        number = self._first_epoch + epoch + 1
        for name in ("loss", "val_loss"):
            if not math.isfinite(values[name]):
                raise TrainingError(
                    f"{name} became {values[name]} in epoch {number} at learning rate {self._learning_rate:g}; "
                    "lower optimizer.learning_rate, or set optimizer.clipnorm."
                )
        values["learning_rate"] = self._learning_rate
        values["seconds"] = time.perf_counter() - self._began
        values["images_per_second"] = self._train_count / self._trained
        self._on_epoch(number, values)


class Validation(keras.callbacks.Callback):
    """Predict the validation pictures after each epoch and add their metrics, `val_*`, to the epoch's values.

    The metrics are those of all predictions, not means over batches. They are those of the float32 network that is saved,
    also if another, faster network is trained in its place, and `val_loss` is the plain cross-entropy, whatever
    the loss of the training. It must precede the callbacks that read them.

    Args:
        network: The saved network, or the part of it that takes the inputs of the batches.
        batches: Batches of (inputs, labels), in the order of the part.
        part: The validation pictures.
        class_names: The classes in the order of their numbers, for the recall of each.
        copy_weights: Called first: copies the trained weights to the saved network.

    Attributes:
        predictions: Those of the last epoch; None before the first one has ended.
    """

    def __init__(
        self,
        network: keras.Model,
        batches: Any,
        part: Part,
        class_names: Sequence[str],
        copy_weights: Callable[[], None],
    ) -> None:
        super().__init__()
        self._forward = traced(network)
        self._batches = batches
        self._part = part
        self._class_names = class_names
        self._copy_weights = copy_weights
        self.predictions: Predictions | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Copy the weights, predict and add the metrics."""
        del epoch
        self._copy_weights()
        if logs is not None:
            found = self.predictions = predict(self._forward, self._batches, self._part)
            logs.update({f"val_{name}": value for name, value in found.metrics.items()})
            recalls = zip(self._class_names, found.recalls.tolist(), strict=True)
            logs.update({f"{RECALL}{name}": recall for name, recall in recalls})


class BestWeights(keras.callbacks.Callback):
    """Remember the weights of the best epoch, and what was predicted with them.

    The saved model is then the one whose metrics are reported as best/*. On a tie the earlier epoch is used.

    Args:
        trained: The part whose weights are remembered: the one that the optimizer changes.
        validation: Has predicted the validation pictures before this callback is called.
        monitor: The epoch value to compare.
        maximize: Whether larger is better.

    Attributes:
        value: The value of the best epoch, negative if smaller is better.
        predictions: Those of the best epoch; None before the first one has ended.

    Raises:
        TrainingError: The value is not a number.
    """

    def __init__(self, trained: keras.Model, validation: Validation, monitor: str, *, maximize: bool) -> None:
        super().__init__()
        self._trained = trained
        self._validation = validation
        self._monitor = monitor
        self._sign = 1.0 if maximize else -1.0
        self.value = -math.inf
        self._weights: list[npt.NDArray[Any]] = []
        self.predictions: Predictions | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Copy the weights if this epoch is better than all earlier ones."""
        del epoch
        value = self._sign * float((logs or {})[self._monitor])
        if math.isnan(value):
            raise TrainingError(
                f"{self._monitor} is undefined, because all validation pictures are of one class; choose another "
                "objective.metric, or another data.split_seed."
            )
        if value > self.value:
            self.value = value
            self._weights = self._trained.get_weights()
            self.predictions = self._validation.predictions

    def arrays(self) -> list[npt.NDArray[Any]]:
        """The weights of the best epoch, and then its predictions; for a checkpoint."""
        assert self.predictions is not None  # noqa: S101 (as in `restore`)
        return [*self._weights, self.predictions.probabilities, self.predictions.labels]

    def put_back(self, value: float, arrays: Sequence[npt.NDArray[Any]]) -> None:
        """Continue with the best epoch of a checkpoint."""
        *self._weights, probabilities, labels = arrays
        self.value, self.predictions = value, Predictions(probabilities, labels)

    def restore(self) -> Predictions:
        """Set the weights of the best epoch, and return its predictions for the validation pictures."""
        assert self.predictions is not None  # noqa: S101 (for the type checker; an epoch has been trained)
        self._trained.set_weights(self._weights)
        return self.predictions


def averaging_callbacks(model: keras.Model) -> list[keras.callbacks.Callback]:
    """A callback that exchanges the trained weights of a model and their averages, if its optimizer has averages.

    Called twice at the end of an epoch, it puts the averages in the place of the weights for the callbacks in between; the
    training and the optimizer's state go on as without them. What is not trained, as the statistics of a BatchNorm, has no
    average.

    Args:
        model: Compiled with an optimizer that was built for its weights.
    """
    if not model.optimizer.use_ema:
        return []

    def exchange() -> None:
        for weight, average in zip(model.trainable_variables, averages(model.optimizer), strict=True):
            held = keras.ops.convert_to_numpy(weight).copy()  # which may be the memory of the weight
            weight.assign(average)
            average.assign(held)

    return [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: exchange())]  # noqa: ARG005 (Keras names them)


class LearningRateGuard(keras.callbacks.Callback):
    """Refuse to train at another learning rate than the configured one.

    The author of the published study lost a week of runs to a checkpoint that also restored the learning rate of its
    optimizer.

    Args:
        expected: The learning rate of the first step.

    Raises:
        TrainingError: The optimizer has another learning rate.
    """

    def __init__(self, expected: float) -> None:
        super().__init__()
        self._expected = expected

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Compare the rates before the first step."""
        del logs
        actual = float(self.model.optimizer.learning_rate)
        if not math.isclose(actual, self._expected, rel_tol=1e-5):
            raise TrainingError(
                f"The optimizer's learning rate is {actual:g}, but optimizer.learning_rate is {self._expected:g}; "
                "a warm start must load weights only."
            )


def build_own_callbacks(config: Config) -> list[keras.callbacks.Callback]:
    """New objects of the callbacks of the user's own.

    Raises:
        ConfigError: One cannot be imported or built, or is no callback.
    """
    return [_built(code, arguments) for code, arguments in own_callbacks(config)]


def _built(code: Code, arguments: Mapping[str, Any]) -> keras.callbacks.Callback:
    kind = code.load()
    try:
        built = kind(**arguments)
    except Exception as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        raise ConfigError(
            f"{code.shown} cannot be built with the arguments {dict(arguments)} ({type(error).__name__}: {reason})."
        ) from error
    if not isinstance(built, keras.callbacks.Callback):
        raise ConfigError(f"{code.shown} must be a subclass of keras.callbacks.Callback, but is {kind!r}.")
    return built
