"""Tests of flowersweep.tracking.memory: what was logged can be read back."""

from pathlib import Path

import numpy as np
import pytest

from flowersweep.errors import TrackingError
from flowersweep.tracking.memory import MemoryTracker
from flowersweep.tracking.protocol import RunStatus


def test_everything_can_be_read_back(tmp_path: Path) -> None:
    """Params and tags are texts, metrics keep their steps, artifacts are found by their path."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"\x00\x01")
    picture = np.zeros((2, 3, 3), np.uint8)
    run = MemoryTracker()
    run.params({"seed": 7, "model.weights": None})
    run.metrics({"loss": 0.5}, step=0)
    run.metrics({"loss": 0.25, "accuracy": 1}, step=1)
    run.tags({"trial": 3})
    run.json({"a": [1]}, "a.json")
    run.image(picture, "a.png")
    run.file(path, "copies")
    run.dataset("flowers", digest="d" * 64, source="here", context="training", profile={"pictures": 2})
    picture[:] = 9  # what was logged does not change with the caller's array
    run.end(RunStatus.FINISHED)
    assert run.param_values == {"seed": "7", "model.weights": "None"}
    assert run.metric_values == {"loss": [(0, 0.5), (1, 0.25)], "accuracy": [(1, 1.0)]}
    assert run.tag_values == {"trial": "3"}
    assert run.artifacts["a.json"] == '{\n  "a": [\n    1\n  ]\n}\n'
    assert np.array_equal(run.artifacts["a.png"], np.zeros((2, 3, 3)))  # type: ignore[arg-type]
    assert run.artifacts["copies/weights.bin"] == b"\x00\x01"
    assert run.datasets[0]["digest"] == "d" * 36
    assert run.status is RunStatus.FINISHED


def test_a_refused_batch_leaves_nothing_behind() -> None:
    """If one param of a call conflicts, none of the call is kept."""
    run = MemoryTracker()
    run.params({"seed": 1})
    with pytest.raises(TrackingError, match="already has it as '1'"):
        run.params({"new": 5, "seed": 2})
    assert run.param_values == {"seed": "1"}


def test_the_model_is_kept_with_its_facts() -> None:
    """The model's address is MLflow's, and its classes and picture shape are kept."""
    run = MemoryTracker()
    model = object()
    address = run.model(model, example=np.zeros((1, 8, 9, 3), np.uint8), class_names=("a", "b"))
    assert address == f"runs:/{run.run_id}/model"
    assert run.models == [
        {"model": model, "picture_shape": (8, 9, 3), "class_names": ["a", "b"], "metadata": {}}
    ]
