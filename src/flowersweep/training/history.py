"""The epochs of a run and the best of them."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from flowersweep.fields import VALIDATED, maximized

# Before the name of a class: its recall in an epoch. In the table of epochs only, because MLflow would draw a chart of each.
RECALL = "recall/"


@dataclass
class History:
    """Values of each epoch, in order, over all phases of a run.

    Attributes:
        monitor: The epoch value that decides which epoch is the best.
        epochs: One mapping per epoch: loss, accuracy, the metrics of VALIDATED, the recall of each class, learning_rate,
            seconds, images_per_second.
        phases: Name of each phase and the number of its first epoch, counted from 1.
    """

    monitor: str
    epochs: list[dict[str, float]] = field(default_factory=list)
    phases: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, objective: str) -> Self:
        """An empty history whose best epoch is that of the objective, for example best/val_accuracy."""
        return cls(monitor=objective.rpartition("/")[2])

    def begin(self, phase: str) -> None:
        """Start a phase; the following epochs belong to it."""
        self.phases.append((phase, len(self.epochs) + 1))

    def go_on(self, epochs: Sequence[Mapping[str, float]], phases: Sequence[tuple[str, int]]) -> None:
        """Take over the epochs of a run that was interrupted."""
        self.epochs = [dict(values) for values in epochs]
        self.phases = [(name, first) for name, first in phases]

    def append(self, values: Mapping[str, float]) -> None:
        """Add the next epoch."""
        self.epochs.append(dict(values))

    @property
    def best_epoch(self) -> int:
        """Number of the last phase's best epoch, counted from 1; the earliest on a tie.

        The final weights of a run come from that phase, so its values are those of the run.
        """
        first = self.phases[-1][1] if self.phases else 1
        values = self.column(self.monitor)[first - 1 :]
        best = max(values) if maximized(self.monitor) else min(values)
        return first + values.index(best)

    def column(self, name: str) -> list[float]:
        """One value over all epochs."""
        return [values[name] for values in self.epochs]

    def columns(self) -> dict[str, Sequence[float]]:
        """All values over all epochs."""
        return {name: self.column(name) for name in self.epochs[0]}

    def summary(self) -> dict[str, float]:
        """best/* and last/* of every quality measure, with best/epoch and the total epochs and seconds."""
        best, last = self.epochs[self.best_epoch - 1], self.epochs[-1]
        quality = [name for name in ("loss", "accuracy", *VALIDATED) if name in best]
        return {
            **{f"best/{name}": best[name] for name in quality},
            **{f"last/{name}": last[name] for name in quality},
            "best/epoch": float(self.best_epoch),
            "total/epochs": float(len(self.epochs)),
            "total/seconds": sum(self.column("seconds")),
        }

    def csv(self) -> str:
        """A table with a header line and one line per epoch."""
        names = list(self.epochs[0])
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")  # quotes names of classes that contain commas
        rows.writerow(["epoch", *names])
        for number, values in enumerate(self.epochs, start=1):
            rows.writerow([number, *(f"{values[name]:.8g}" for name in names)])
        return table.getvalue()
