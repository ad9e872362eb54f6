"""Prediction of probabilities by a model in this process or on a server."""

import contextlib
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from flowersweep.data.decode import Pixels
from flowersweep.errors import ConfigError, TrackingError
from flowersweep.texts import counted
from flowersweep.tracking.lookup import load_model

if TYPE_CHECKING:
    from flowersweep.deploy.choose import Choice
    from flowersweep.deploy.temperature import Temperature

Probabilities = npt.NDArray[np.float32]

_ANSWER_SECONDS = 120.0  # a busy server may have to process a batch of large pictures first


class Predictor(Protocol):
    """Predicts the probabilities of pictures."""

    def __call__(self, images: Pixels) -> Probabilities:
        """Predict.

        Args:
            images: uint8, shape (n, size, size, 3), 0..255, n at least 1.

        Returns:
            float32, shape (n, number of classes), rows sum to 1.
        """


class LocalPredictor:
    """The model in this process. Imports TensorFlow.

    Args:
        choice: The model.
        batch_size: Pictures per call.
        temperature: Its logits are divided by it; None to leave them unchanged.

    Raises:
        TrackingError: The files of the model cannot be read.

    Example:
        >>> from flowersweep.deploy.choose import choose
        >>> choice = choose("best", study="petals", directory="results")
        >>> predictor = LocalPredictor(choice, batch_size=32)
        >>> pictures = np.zeros((2, choice.info.size, choice.info.size, 3), np.uint8)
        >>> predictor(pictures).shape
        (2, 5)
    """

    def __init__(self, choice: "Choice", batch_size: int, temperature: "Temperature | None" = None) -> None:
        from flowersweep.training.environment import start_tensorflow

        start_tensorflow(seed=0, threads=None, deterministic=False)
        from flowersweep.deploy.temperature import with_temperature
        from flowersweep.models.engine import TensorFlowEngine

        self.model = load_model(choice.store, choice.location)
        if temperature is not None:
            self.model = with_temperature(self.model, temperature)
        self._engine = TensorFlowEngine(self.model, batch_size)

    def __call__(self, images: Pixels) -> Probabilities:
        """Predict; see Predictor."""
        return self._engine.run(images.astype(np.float32))


class RemotePredictor:
    """A server started by `mlflow models serve`. Does not import TensorFlow.

    Args:
        url: Its address, for example http://127.0.0.1:5001; `/invocations` is added if there is no path.
        n_classes: The number of probabilities that it must return.

    Raises:
        ConfigError: `url` is not such an address.
    """

    def __init__(self, url: str, n_classes: int) -> None:
        parts = _parts(url)
        if parts is None:
            raise ConfigError(
                f"url={url} is not the address of a server; give one like http://127.0.0.1:5001."
            )
        path = parts.path if parts.path.strip("/") else "/invocations"
        self._url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        self._n_classes = n_classes

    def __call__(self, images: Pixels) -> Probabilities:
        """Predict; see Predictor.

        Raises:
            TrackingError: The server does not answer, or not with probabilities.
        """
        answer = self._post(json.dumps({"inputs": images.tolist()}).encode())
        try:
            probabilities = np.asarray(json.loads(answer)["predictions"], np.float32)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise TrackingError(
                f"{self._url} answers, but not with predictions; is it a model server?"
            ) from error
        if probabilities.shape != (len(images), self._n_classes):
            raise TrackingError(
                f"The model at {self._url} returns {probabilities.shape} numbers for {counted(len(images), 'picture')}, but "
                f"the model of the run distinguishes {self._n_classes} classes; give the run that is served with run=."
            )
        return probabilities

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(  # noqa: S310 (the scheme was checked)
            self._url, body, {"Content-Type": "application/json"}
        )
        try:
            try:
                with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:  # noqa: S310 (as above)
                    content: bytes = response.read()
            except urllib.error.HTTPError as error:  # has an answer, which may also be interrupted
                raise TrackingError(f"{self._url} refuses the pictures: {_told(error)}") from error
        except (OSError, http.client.HTTPException) as error:  # includes URLError and interrupted connections
            reason = getattr(error, "reason", None) or error
            raise TrackingError(
                f"No model server answers at {self._url} ({reason}); start one with mlflow models serve."
            ) from error
        return content


def _parts(url: str) -> urllib.parse.SplitResult | None:
    """The parts of a server's address; None if it is none."""
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # raises for what is no number
        (parts.hostname or "").encode("idna")  # as for the connection
    except ValueError:
        return None
    is_address = (
        parts.scheme in {"http", "https"} and parts.hostname and not re.search(r"[\x00-\x20\x7f]", url)
    )
    return parts if is_address else None


def _told(error: urllib.error.HTTPError) -> str:
    """The reason that a server gives for a refusal, on one line."""
    text = error.read().decode(errors="replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["message"])
    reason = text.rpartition("\nError: ")[2]  # MLflow quotes the pictures before the reason
    return f"{error.code} {(reason.splitlines() or [error.reason])[0][:300]}"
