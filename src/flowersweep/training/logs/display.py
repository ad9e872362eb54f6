"""Console output during and after the training of a run."""

import shlex
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from flowersweep.config import in_checkout, results_dir
from flowersweep.config.schema import Config
from flowersweep.redaction import redacted
from flowersweep.texts import plain_console
from flowersweep.tracking.store.store import DATABASE_NAME, sqlite_uri
from flowersweep.training.result import Result


def epoch_line(phase: str, number: int, epochs: int, values: Mapping[str, float]) -> str:
    """One line of text for an epoch."""
    return (
        f"{phase} epoch {number:>{len(str(epochs))}}/{epochs}  "
        f"loss {values['loss']:.4f}  accuracy {values['accuracy']:.4f}  "
        f"val_loss {values['val_loss']:.4f}  val_accuracy {values['val_accuracy']:.4f}  "
        f"lr {values['learning_rate']:.2e}  {values['seconds']:.1f} s  {values['images_per_second']:.0f} images/s"
    )


class TrainingDisplay:
    """A progress bar with the remaining time, and a line for each finished epoch.

    If the output is not a terminal, only the lines are printed.

    Args:
        phase: The name of the phase.
        epochs: Maximum number of epochs; training may stop earlier.
        steps: Batches per epoch.
        first_epoch: Number of epochs of earlier phases.
        console: The console to print to; standard error by default.
    """

    def __init__(
        self, phase: str, epochs: int, steps: int, *, first_epoch: int = 0, console: Console | None = None
    ) -> None:
        self._phase = phase
        self._epochs = first_epoch + epochs
        self._console = console or plain_console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("step {task.fields[step]}/{task.fields[steps]}"),
            TimeElapsedColumn(),
            TextColumn("left at most"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(
            f"{phase} epoch {first_epoch + 1}", total=epochs * steps, step=0, steps=steps
        )
        self._step = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def batch(self) -> None:
        """Report a finished batch."""
        self._step += 1
        self._progress.update(self._task, advance=1, step=self._step)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Report a finished epoch; `number` counts from 1."""
        self._step = 0
        self._progress.update(self._task, description=f"{self._phase} epoch {number + 1}", step=0)
        line = epoch_line(self._phase, number, self._epochs, values)
        self._console.print(line, highlight=False, soft_wrap=True)


def show_result(config: Config, result: Result, console: Console | None = None) -> None:
    """Print the final panel on standard output: the result, its location, and the command that shows it."""
    metrics = result.metrics
    rows = {
        "best epoch": f"{metrics['best/epoch']:.0f} of {metrics['total/epochs']:.0f}",
        "best/val_accuracy": f"{metrics['best/val_accuracy']:.4f}",
        "best/val_loss": f"{metrics['best/val_loss']:.4f}",
    }
    rows.setdefault(config.objective.metric, f"{metrics[config.objective.metric]:.4f}")
    if "test/accuracy" in metrics:
        rows["test/accuracy"] = f"{metrics['test/accuracy']:.4f}"
    rows |= {
        "training time": f"{metrics['total/seconds']:.1f} s",
        "run": f"{result.run_id} in experiment {config.tracking.experiment}",
        "results": redacted(result.tracking_uri),
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    panel = Panel(
        table, title=f"{config.model.name} on {config.data.source}", title_align="left", expand=False
    )
    console = console or plain_console()
    console.print(panel, highlight=False)
    # Outside the panel and in one line, so that it can be copied.
    console.print(f"look at it: {ui_command(result.tracking_uri)}", highlight=False, soft_wrap=True)


def ui_command(tracking_uri: str) -> str:
    """How to show a tracking store in the browser: a command to copy, or the server's address."""
    if tracking_uri.startswith("http"):
        return redacted(tracking_uri)
    if in_checkout() and tracking_uri == sqlite_uri(results_dir() / DATABASE_NAME):
        return "make ui"
    shown = redacted(tracking_uri)
    return shlex.join(
        [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", shown, "--host", "127.0.0.1"]
    )
