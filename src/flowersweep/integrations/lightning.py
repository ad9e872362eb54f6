"""A callback for the Trainer of Lightning."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flowersweep.sweep.workers.trial import current_trial

# It is distributed under two names, which must not be mixed in one program.
if TYPE_CHECKING or find_spec("lightning") is None:
    from pytorch_lightning import Callback
else:
    from lightning.pytorch import Callback


class ReportEpochs(Callback):
    """Reports a metric to the sweep after each validation, and stops a trial that is pruned; outside a sweep it does nothing.

    Args:
        monitor: The metric, by the name under which the module logs it.

    Example:
        Trainer(max_epochs=20, callbacks=[ReportEpochs("val_accuracy")])
    """

    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002 - Lightning's signature
        """Report the metric.

        Raises:
            Pruned: The trial must stop.
            ValueError: There is no such metric.
        """
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        known = trainer.callback_metrics
        if self.monitor not in known:
            raise ValueError(f"ReportEpochs: there is no metric {self.monitor!r}, only {', '.join(known)}.")
        current_trial().report(trainer.current_epoch + 1, known[self.monitor])
