"""Temperature scaling: one number that makes the probabilities of a trained model fit their accuracy.

Dividing the logits by a temperature leaves the order of the classes, and thus the accuracy, unchanged (Guo et al. 2017,
arXiv 1706.04599, section 4.2). TensorFlow is imported inside functions.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from flowersweep.deploy.choose import Choice
from flowersweep.errors import ConfigError, TrackingError
from flowersweep.figures.calibration import calibration
from flowersweep.figures.predictions import read_predictions
from flowersweep.texts import number_text
from flowersweep.tracking.lookup import Files
from flowersweep.tracking.run import VALIDATION_TABLE

if TYPE_CHECKING:
    import keras

FIT = "fit"
# The inverse of the temperature is searched between these; beyond them probabilities are equal, or 0 and 1.
_BOUNDS = (1 / 20, 20.0)
# Tables of earlier versions are rounded to six decimals, so that 0 stands for half of the last one.
_ROUNDED, _LAST_DECIMAL = 5e-7, 1e-6
_SMALLEST = float(np.finfo(np.float32).tiny)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """How good probabilities are.

    Attributes:
        calibration_error: The expected calibration error, 0..1.
        loss: The mean negative log-likelihood in nats.
    """

    calibration_error: float
    loss: float


@dataclass(frozen=True)
class Temperature:
    """A temperature and what it was fitted on.

    Attributes:
        value: The logits are divided by it; more than 1 makes a model less confident.
        pictures: The number of validation pictures.
        before: The quality of the model's probabilities for these pictures.
        after: The quality with the temperature.
    """

    value: float
    pictures: int
    before: Quality
    after: Quality

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The temperature of which `text` has the fields."""
        facts = json.loads(text)
        return cls(facts["value"], facts["pictures"], Quality(**facts["before"]), Quality(**facts["after"]))

    @property
    def about(self) -> str:
        """The effect in one sentence."""
        return (
            f"The temperature {self.value:.4g}, fitted on {self.pictures} validation pictures, changes their expected calibration "
            f"error from {number_text(self.before.calibration_error)} to {number_text(self.after.calibration_error)} and their loss from "
            f"{number_text(self.before.loss)} to {number_text(self.after.loss)}; every predicted class stays the same."
        )


def fit_for(choice: Choice) -> Temperature:
    """Fit a temperature on the validation predictions of a run.

    Raises:
        TrackingError: The run has no table of predictions, or it cannot be read.
    """
    table = Files(choice.store, choice.run_id).text(VALIDATION_TABLE)
    predictions = None if table is None else read_predictions(table)
    if predictions is None:
        raise TrackingError(
            f"Run {choice.run_id[:8]} has no validation predictions to fit a temperature on; leave temperature= out, or "
            "train the run again."
        )
    return fit(predictions.true, predictions.probabilities)


def fit(true: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating]) -> Temperature:
    """The temperature with the smallest negative log-likelihood, for one picture more of which the class is not known.

    That picture is Platt's safeguard ("Probabilistic outputs for support vector machines", 1999, section 2.2): without
    it, a model that predicts all pictures correctly, of which there may be few, would become certain of everything.
    The function is convex in the inverse of the temperature, so a bounded search in one dimension finds its minimum.

    Args:
        true: Class numbers, shape (n,), n at least 1.
        probabilities: Shape (n, number of classes).
    """
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped] # it ships no types

    logits = _logits(probabilities)
    found = minimize_scalar(
        lambda inverse: _guarded_loss(true, logits * inverse),
        bounds=_BOUNDS,
        method="bounded",
        options={"xatol": 1e-6},
    )
    return Temperature(
        value=float(1 / found.x),
        pictures=len(true),
        before=_quality(true, logits),
        after=_quality(true, logits * found.x),
    )


def scaled(probabilities: npt.NDArray[np.floating], temperature: float) -> Floats:
    """The probabilities of a model whose logits are divided by a temperature, from those of the model itself."""
    return np.exp(_log_softmax(_logits(probabilities) / temperature))


def scaled_bounds(probabilities: npt.NDArray[np.floating], temperature: float) -> tuple[Floats, Floats]:
    """The least and the greatest probabilities that `scaled` would return if nothing in a table were rounded.

    A temperature above 1 magnifies what a table leaves out: half of 1e-6 becomes 0.0007 with 2.
    """
    known, error = probabilities.astype(np.float64), _floor(probabilities)
    low = np.maximum(known - error, 0) ** (1 / temperature)
    high = (known + error) ** (1 / temperature)
    others_low, others_high = (one.sum(axis=1, keepdims=True) - one for one in (low, high))
    return low / (low + others_high), high / (high + others_low)


def _logits(probabilities: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), _floor(probabilities))))


def _floor(probabilities: npt.NDArray[np.floating]) -> float:
    """What 0 stands for."""
    is_rounded = probabilities[probabilities > 0].min(initial=1) >= _LAST_DECIMAL
    return _ROUNDED if is_rounded else _SMALLEST


def _quality(true: npt.NDArray[np.integer], logits: Floats) -> Quality:
    return Quality(calibration(true, np.exp(_log_softmax(logits))).error, _loss(true, logits))


def _loss(true: npt.NDArray[np.integer], logits: Floats) -> float:
    return float(-_log_softmax(logits)[np.arange(len(true)), true].mean())


def _guarded_loss(true: npt.NDArray[np.integer], logits: Floats) -> float:
    """The loss if another picture had been seen, with the mean of the other ones' logits and of any class."""
    unknown = -_log_softmax(logits).mean()
    return float(_loss(true, logits) * len(true) + unknown) / (len(true) + 1)


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def with_temperature(model: "keras.Model", temperature: Temperature) -> "keras.Model":
    """A model that shares the weights and divides its logits by a temperature, built only of Keras' own layers.

    Raises:
        ConfigError: The last layer of the model is not a softmax.
    """
    import keras

    last: Any = model.layers[-1]
    if not isinstance(last, keras.layers.Softmax):
        raise ConfigError(
            f"temperature= needs a model that ends with a Softmax layer, but this one ends with {type(last).__name__}."
        )
    logits = keras.layers.Rescaling(1 / temperature.value, name="temperature")(last.input)
    return keras.Model(model.input, keras.layers.Softmax(name="probabilities")(logits), name=model.name)
