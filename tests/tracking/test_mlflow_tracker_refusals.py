"""What MLflowTracker accepts and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store

REFUSED: list[tuple[Callable[[MLflowTracker], Any], str]] = [
    (lambda run: run.params({"bad(name)": 1}), "Cannot log under the name"),
    (lambda run: run.metrics({"a//b": 1.0}), "Cannot log under the name"),
    (lambda run: run.tags({"x" * 251: "y"}), "Cannot log under the name"),
    (lambda run: run.metrics({"loss": "low"}), "'low' is not a number"),  # type: ignore[dict-item]
    (lambda run: run.metrics({"loss": True}), "True is not a number"),
    (lambda run: run.text("x", "../outside.txt"), "must be a relative path inside the run"),
    (lambda run: run.text("x", "/etc/name"), "must be a relative path inside the run"),
    (lambda run: run.json({"x": object()}, "x.json"), "a object has no JSON form"),
    (lambda run: run.image(np.zeros((4, 4), np.uint8), "x.png"), r"shape \(height, width, 3\)"),
    (lambda run: run.image(np.zeros((4, 4, 3)), "x.png"), "dtype float64"),  # type: ignore[arg-type]
    (lambda run: run.file(Path("nowhere.txt")), "there is no such file"),
]


def kept(tracker: MLflowTracker, store: Store) -> tuple[dict[str, str], dict[str, str]]:
    """The params and the tags of a run, read back."""
    data = client(store.uri).get_run(tracker.run_id).data
    return dict(data.params), dict(data.tags)


class TestLogging:
    """What is accepted and what is refused."""

    def test_everything_a_run_logs_is_accepted(self, tracker: MLflowTracker, tmp_path: Path) -> None:
        """Each method takes the ordinary values of a run, and the run has an identifier and no status."""
        path = tmp_path / "notes.txt"
        path.write_text("notes", encoding="utf-8")
        tracker.params({"model.name": "cnn", "model.weights": None, "trainer.epochs": 3, "empty": ""})
        tracker.metrics({"loss": 0.5, "val_accuracy": np.float64(0.7)}, step=0)
        tracker.metrics({"best/val_accuracy": float("nan")})
        tracker.tags({"study": "first", "trial": 3})
        tracker.text("Grüße", "notes/a.txt")
        tracker.json({"numbers": np.arange(2), "mean": np.float64(0.5), "path": path}, "notes/a.json")
        tracker.image(np.zeros((4, 5, 3), np.uint8), "pictures/a.png")
        tracker.figure(Figure(), "figures/a.png")
        tracker.dataset("flowers", digest="d" * 64, source="https://example.org/x.tgz", context="training")
        tracker.file(path, "copies")
        assert len(tracker.run_id) == 32
        assert tracker.status is None

    def test_a_param_keeps_its_value(self, tracker: MLflowTracker, store: Store) -> None:
        """Logging the same value again is fine; another value is refused and changes nothing."""
        tracker.params({"seed": 1})
        tracker.params({"seed": 1})
        with pytest.raises(TrackingError, match="seed"):
            tracker.params({"seed": 2, "other": 3})
        assert kept(tracker, store)[0] == {"seed": "1"}

    def test_a_tag_may_change(self, tracker: MLflowTracker, store: Store) -> None:
        """The value that was set last is the one that is kept."""
        tracker.tags({"state": "waiting"})
        tracker.tags({"state": "done"})
        assert kept(tracker, store)[1]["state"] == "done"

    @pytest.mark.slow
    @pytest.mark.parametrize(("log", "message"), REFUSED)
    def test_what_is_refused(
        self, tracker: MLflowTracker, log: Callable[[MLflowTracker], Any], message: str
    ) -> None:
        """Bad names, values and files raise one clear sentence."""
        with pytest.raises(TrackingError, match=message) as caught:
            log(tracker)
        assert "\n" not in str(caught.value)

    def test_nothing_is_logged_after_the_end(self, tracker: MLflowTracker, tmp_path: Path) -> None:
        """An ended run refuses every kind of logging, and a second end."""
        path = tmp_path / "x"
        path.touch()
        tracker.end(RunStatus.FINISHED)
        assert tracker.status is RunStatus.FINISHED
        attempts: list[Callable[[], Any]] = [
            lambda: tracker.params({"a": 1}),
            lambda: tracker.metrics({"a": 1.0}),
            lambda: tracker.tags({"a": "b"}),
            lambda: tracker.text("a", "a.txt"),
            lambda: tracker.json([], "a.json"),
            lambda: tracker.image(np.zeros((2, 2, 3), np.uint8), "a.png"),
            lambda: tracker.figure(Figure(), "a.png"),
            lambda: tracker.dataset("a", digest="b", source="c", context="training"),
            lambda: tracker.model(None, example=np.zeros((1, 2, 2, 3), np.uint8), class_names=[]),
            lambda: tracker.file(path),
            lambda: tracker.end(RunStatus.KILLED),
        ]
        for attempt in attempts:
            with pytest.raises(TrackingError, match="has ended \\(FINISHED\\)"):
                attempt()
