"""Decides when a worker has to stop: after a signal, or if the sweeper that launched it is dead."""

import os
import signal
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any, Self

from flowersweep import process as processes

SWEEPER_SECONDS = 2.0


def signal_of_submitit() -> signal.Signals | None:
    """What Submitit's jobs get when their time is up or another job has their place; None outside of such a job."""
    if "SUBMITIT_EXECUTOR" not in os.environ:
        return None
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


class Shutdown:
    """Records a SIGINT or SIGTERM within its block, so that it does not interrupt writing to the study.

    The signal of Submitit is recorded as well, and raised again after the block: its handler submits the job once more, and
    ends the process.

    Args:
        sweeper: `process.identity()` of the process that launched this one; None if no other process is required.

    Attributes:
        signal_number: The received signal; None if there was none.
    """

    def __init__(self, sweeper: Mapping[str, str] | None) -> None:
        self.signal_number: int | None = None
        self._sweeper = sweeper
        self._is_sweepers = sweeper == processes.identity()
        self._sweeper_died = False
        self._began = time.time()
        self._looked = time.monotonic()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python delivers signals to the main thread only; in another thread, the worker's owner has to handle them.
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note)
                for number in filter(None, (signal.SIGINT, signal.SIGTERM, signal_of_submitit()))
            }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.signal_number == signal_of_submitit() and self.signal_number and not self._is_sweepers:
            signal.raise_signal(self.signal_number)

    def must_stop(self) -> bool:
        """Tell whether a signal was received, or the sweeper is dead (checked every SWEEPER_SECONDS)."""
        if self._sweeper is not None and time.monotonic() - self._looked >= SWEEPER_SECONDS:
            self._looked = time.monotonic()
            self._sweeper_died = processes.is_dead(self._sweeper, self._began)
        return self.signal_number is not None or self._sweeper_died

    def _note(self, number: int, frame: FrameType | None) -> None:
        first, self.signal_number = self.signal_number is None, number
        # A worker in the sweeper's own process; the sweeper tells those on other machines.
        if first and self._is_sweepers and callable(before := self._before[number]):
            before(number, frame)
