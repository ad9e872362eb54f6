"""A callback for `fit` of Keras."""

from collections.abc import Mapping
from typing import Any

import keras

from flowersweep.sweep.workers.trial import current_trial


class ReportEpochs(keras.callbacks.Callback):
    """Reports a metric to the sweep after each epoch, and stops a trial that is pruned; outside a sweep it does nothing.

    Args:
        monitor: The metric, by its name in the logs of Keras.

    Example:
        model.fit(pictures, labels, validation_split=0.2, callbacks=[ReportEpochs("val_accuracy")])
    """

    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report the metric.

        Args:
            epoch: Counted from 0, as Keras does.
            logs: The metrics.

        Raises:
            Pruned: The trial must stop.
            ValueError: There is no such metric.
        """
        known = logs or {}
        if self.monitor not in known:
            raise ValueError(f"ReportEpochs: there is no metric {self.monitor!r}, only {', '.join(known)}.")
        current_trial().report(epoch + 1, known[self.monitor])
