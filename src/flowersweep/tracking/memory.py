"""A tracker that keeps everything in memory: for tests, and for trying training without a store."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted
from flowersweep.tracking import rules
from flowersweep.tracking.protocol import Pictures, RunStatus

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure


@dataclass
class MemoryTracker:
    """The in-memory twin of MLflowTracker, which refuses what MLflow refuses.

    Attributes:
        run_id: Random, as in MLflow.
        status: How the run ended, None while it goes on.
        param_values: What was logged, as text.
        metric_values: (step, value) pairs by metric, in the order of logging.
        tag_values: What was set last, as text.
        artifacts: By their path inside the run: text as str, files as bytes, pictures and figures as they came.
        datasets: The arguments of each `dataset` call.
        models: The arguments of each `model` call.
    """

    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: RunStatus | None = None
    param_values: dict[str, str] = field(default_factory=dict)
    metric_values: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    tag_values: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, object] = field(default_factory=dict)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)

    def params(self, values: Mapping[str, object]) -> None:
        """See Tracker.params."""
        self._check_open()
        new = {
            rules.check_key(key): rules.shortened(value, rules.MAX_PARAM_LENGTH)
            for key, value in values.items()
        }
        for key, text in new.items():
            if self.param_values.get(key, text) != text:
                raise TrackingError(
                    f"Cannot log param {key!r} as {text!r}: this run already has it as {self.param_values[key]!r}."
                )
        self.param_values.update(new)
        self.artifacts.update(rules.too_long(values, rules.MAX_PARAM_LENGTH))

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """See Tracker.metrics."""
        self._check_open()
        numbers = {key: rules.check_metric(key, value) for key, value in values.items()}
        for key, number in numbers.items():
            self.metric_values[key].append((step or 0, number))

    def tags(self, values: Mapping[str, object]) -> None:
        """See Tracker.tags."""
        self._check_open()
        self.tag_values.update(
            {
                rules.check_key(key): rules.shortened(value, rules.MAX_TAG_LENGTH)
                for key, value in values.items()
            }
        )
        self.artifacts.update(rules.too_long(values, rules.MAX_TAG_LENGTH))

    def text(self, content: str, name: str) -> None:
        """See Tracker.text."""
        self._keep(name, redacted(content))

    def json(self, content: object, name: str) -> None:
        """See Tracker.json."""
        self._keep(name, rules.json_text(content))

    def image(self, picture: npt.NDArray[np.uint8], name: str) -> None:
        """See Tracker.image."""
        self._keep(name, rules.check_picture(picture).copy())

    def figure(self, figure: "Figure", name: str) -> None:
        """See Tracker.figure."""
        self._keep(name, figure)

    def dataset(
        self,
        name: str,
        *,
        digest: str,
        source: str,
        context: str,
        picture_shape: tuple[int, int, int] | None = None,
        profile: Mapping[str, object] | None = None,
    ) -> None:
        """See Tracker.dataset."""
        self._check_open()
        self.datasets.append(
            {
                "name": name,
                "digest": digest[: rules.MAX_DIGEST_LENGTH],
                "source": source,
                "context": context,
                "picture_shape": picture_shape,
                "profile": dict(profile or {}),
            }
        )

    def model(
        self,
        keras_model: "keras.Model",
        *,
        example: Pictures,
        class_names: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """See Tracker.model."""
        self._check_open()
        self.models.append(
            {
                "model": keras_model,
                "picture_shape": example.shape[1:],
                "class_names": list(class_names),
                "metadata": dict(metadata or {}),
            }
        )
        return f"runs:/{self.run_id}/model"

    def file(self, path: Path, folder: str | None = None) -> None:
        """See Tracker.file."""
        content = rules.check_file(path).read_bytes()
        self._keep(f"{folder}/{path.name}" if folder else path.name, content)

    def end(self, status: RunStatus) -> None:
        """See Tracker.end."""
        self._check_open()
        self.status = status

    def _keep(self, name: str, content: object) -> None:
        self._check_open()
        self.artifacts[rules.check_artifact(name)] = content

    def _check_open(self) -> None:
        if self.status is not None:
            raise TrackingError(
                f"Run {self.run_id} has ended ({self.status.value}); nothing can be logged to it."
            )
