"""When a worker has to stop: it was told so by a signal, or the sweeper that launched it is dead."""

import signal
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any, Self

from flowersweep import process as processes

SWEEPER_SECONDS = 2.0


class Stopper:
    """Remembers a SIGINT or SIGTERM within its block, so that it tears nobody out of writing to the study.

    Args:
        sweeper: `process.identity()` of the process that launched this one; None if nobody else has to live.

    Attributes:
        signal_number: The signal that came; None if none did.
    """

    def __init__(self, sweeper: Mapping[str, str] | None) -> None:
        self.signal_number: int | None = None
        self._sweeper = sweeper
        self._sweeper_died = False
        self._began = time.time()
        self._looked = time.monotonic()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python delivers signals to the main thread only; in another one the worker's owner has to handle them.
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
            }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def must_stop(self) -> bool:
        """Tell whether a signal came, or the sweeper is dead (looked at every SWEEPER_SECONDS)."""
        if self._sweeper is not None and time.monotonic() - self._looked >= SWEEPER_SECONDS:
            self._looked = time.monotonic()
            self._sweeper_died = processes.is_dead(self._sweeper, self._began)
        return self.signal_number is not None or self._sweeper_died

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
