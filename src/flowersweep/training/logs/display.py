"""Console output during and after the training of a run."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from flowersweep.config.locations import data_set_name
from flowersweep.config.schema import Config
from flowersweep.console import plain_console, print_line, stderr_console
from flowersweep.redaction import redacted
from flowersweep.tables import show_facts, show_text
from flowersweep.texts import in_one_line, number_text
from flowersweep.training.logs.next_steps import after_run, show_next_steps
from flowersweep.training.result import Result

# The name of the phase of a run that has no other one.
ONLY_PHASE = "training"


def epoch_line(
    phase: str, number: int, epochs: int, values: Mapping[str, float], width: int | None = None
) -> str:
    """One line of text for an epoch of a phase.

    Args:
        phase: The name of the phase.
        number: The epoch in the phase, counted from 1.
        epochs: The maximum number of epochs of the phase.
        values: Of the epoch.
        width: Characters of a line on the terminal: what does not fit beside the loss and the accuracy is left out; it is in
            MLflow. None for no limit.
    """
    line = (
        f"{_label(phase, number, epochs)}  "
        f"loss {number_text(values['loss']):<6}  accuracy {number_text(values['accuracy']):<6}  "
        f"val_loss {number_text(values['val_loss']):<6}  val_accuracy {number_text(values['val_accuracy']):<6}"
    )
    for more in (
        f"  lr {values['learning_rate']:.2e}",
        f"  {values['seconds']:.1f} s",
        f"  {values['images_per_second']:.0f} images/s",
    ):
        if width is not None and len(line) + len(more) > width:
            break
        line += more
    return line.rstrip()


def _label(phase: str, number: int, epochs: int) -> str:
    """The position in a phase, as in "head 3/10"; the only phase of a run needs no name."""
    return f"{'epoch' if phase == ONLY_PHASE else phase} {number:>{len(str(epochs))}}/{epochs}"


class TrainingDisplay:
    """A progress bar for the current epoch with its time, and a line for each finished one.

    Early stopping makes the end of a phase unknown. From the second epoch on, an upper limit of the time left in the
    phase is shown: the first epoch also traces the network and computes features that later ones reuse.

    If the output is not a terminal, only the lines are printed.

    Args:
        phase: The name of the phase.
        epochs: Maximum number of epochs; training may stop earlier.
        steps: Batches per epoch.
        first_epoch: Number of epochs of earlier phases.
        then: What follows the phase, if another phase does.
        console: The console to print to; that of standard error by default.
        clock: Gives seconds.
    """

    def __init__(
        self,
        phase: str,
        epochs: int,
        steps: int,
        *,
        first_epoch: int = 0,
        then: str | None = None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._phase, self._epochs, self._earlier = phase, epochs, first_epoch
        self._then = "" if then is None else f", then {then}"
        self._console = console or stderr_console()
        self._clock = clock
        self._ended = clock()  # when the latest epoch did
        self._longest = 0.0  # of the epochs after the first one
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            transient=True,
            expand=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(_label(phase, 1, epochs), total=steps, left="")

    def __enter__(self) -> Self:
        self._ended = self._clock()
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def batch(self) -> None:
        """Report a finished batch."""
        self._progress.advance(self._task)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Report a finished epoch; `number` counts from 1, over all phases."""
        number -= self._earlier
        now = self._clock()
        if number > 1:
            self._longest = max(self._longest, now - self._ended)
        self._ended = now
        width = self._console.width if self._console.is_terminal else None
        line = epoch_line(self._phase, number, self._epochs, values, width)
        print_line(line, self._console)
        if (left := self._epochs - number) > 0:
            limit = f"at most {_rounded_up(self._longest * left)} left{self._then}" if number > 1 else ""
            label = _label(self._phase, number + 1, self._epochs)
            self._progress.reset(self._task, description=label, left=limit)


def _rounded_up(seconds: float) -> str:
    """A duration in one unit."""
    if seconds <= 90:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min" if seconds <= 90 * 60 else f"{math.ceil(seconds / 3600)} h"


def show_result(config: Config, result: Result, console: Console | None = None) -> None:
    """Print on standard output: the result, its location, and what to do next."""
    metrics = result.metrics
    rows = {
        "best epoch": f"{metrics['best/epoch']:.0f} of {metrics['total/epochs']:.0f}",
        "best/val_accuracy": number_text(metrics["best/val_accuracy"]),
        "best/val_loss": number_text(metrics["best/val_loss"]),
    }
    rows.setdefault(config.objective.metric, number_text(metrics[config.objective.metric]))
    if "test/accuracy" in metrics:
        rows["test/accuracy"] = number_text(metrics["test/accuracy"])
    rows |= {
        "training time": f"{metrics['total/seconds']:.1f} s",
        "run": f"{result.run_id} in experiment {config.tracking.experiment}",
        "results": redacted(result.tracking_uri),
    }
    console = console or plain_console()
    data = data_set_name(config.data.source, config.data.dir, Path())
    show_text(console, f"{config.model.name} on {in_one_line(data)}", style="italic")
    show_facts(console, rows)
    tracking = config.tracking
    steps = after_run(tracking.dir, tracking.uri, result.run_id, has_model=tracking.log_model)
    show_next_steps(steps, console)
