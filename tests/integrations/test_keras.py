"""The callback for Keras reports each epoch, and stops a training that is pruned."""

import keras
import numpy as np
import pytest

from flowersweep import Pruned
from flowersweep.integrations.keras import ReportEpochs
from flowersweep.sweep.workers.trial import RunningTrial, running


def _fit(callback: ReportEpochs) -> int:
    """Train a tiny network and return how many epochs it has trained."""
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    numbers = np.arange(4.0)
    history = model.fit(numbers, numbers, epochs=3, verbose=0, callbacks=[callback])
    return len(history.epoch)


def test_reports() -> None:
    """Epochs are counted from 1; outside a sweep nothing happens; a trial that is pruned does not train on."""
    reports: dict[int, float] = {}

    def report(step: int, value: float) -> bool:
        reports[step] = value
        return step == 2

    assert _fit(ReportEpochs("loss")) == 3
    with running(RunningTrial(0, "s", {}, _report=report)), pytest.raises(Pruned, match="after step 2"):
        _fit(ReportEpochs("loss"))
    assert sorted(reports) == [1, 2]
    assert reports[2] < reports[1]


def test_an_unknown_metric() -> None:
    """It is refused with those there are, also outside a sweep."""
    with pytest.raises(ValueError, match=r"no metric 'val_loss', only loss\."):
        _fit(ReportEpochs("val_loss"))
