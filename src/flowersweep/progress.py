"""A progress bar on standard error for work that turns out to take longer than two seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from flowersweep.console import stderr_console

DELAY = 2.0  # seconds of work before the bar appears


@contextmanager
def progress(
    description: str, total: int, *, unit: Literal["pictures", "bytes"] = "pictures"
) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the number of further units that are done.

    The bar needs a terminal; without one (a log file, a worker of a sweep) nothing is printed.

    Args:
        description: What is being done, shown before the bar.
        total: Total number of units.
        unit: What is counted; bytes are shown with their speed.
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    counts = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    console = stderr_console()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn(), console=console
    )
    task = bar.add_task(description, total=total)
    appears_at = time.monotonic() + DELAY

    def advance(count: int) -> None:
        bar.advance(task, count)
        if console.is_terminal and time.monotonic() > appears_at:
            bar.start()  # does nothing if it was started before

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()
