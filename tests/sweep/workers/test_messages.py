"""Tests of what a worker sends to its training process."""

import threading
from typing import Any

import cloudpickle  # type: ignore[import-untyped] # it ships no types
import pytest
from omegaconf import DictConfig

from flowersweep.errors import SweepError
from flowersweep.sweep.workers.messages import Application, packed


def test_function_without_a_name_goes_by_value(stub: Any) -> None:
    """A function that no import finds, such as a lambda in a closure, can still be sent."""
    hydra_context, _ = stub.context()
    factor = 3
    sent = packed(Application.here(lambda cfg: factor * cfg.x, hydra_context), None)

    assert cloudpickle.loads(sent).task_function(DictConfig({"x": 0.5})) == 1.5


def test_function_of_this_process_only_is_refused(stub: Any) -> None:
    """Something that cannot be sent is found when the sweep starts."""
    hydra_context, _ = stub.context()
    lock = threading.Lock()
    with pytest.raises(SweepError, match=r"cannot be sent \(cannot pickle '_thread.lock' object\)\. Import"):
        packed(Application.here(lambda _: lock.locked(), hydra_context), None)
