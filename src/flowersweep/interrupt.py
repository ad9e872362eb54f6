"""Conversion of SIGINT and SIGTERM into one exception, so that an interrupted run is closed and not left RUNNING."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn


class Interrupted(KeyboardInterrupt):
    """The process was asked to stop.

    Attributes:
        signal_number: SIGINT or SIGTERM; the process exits with 128 + this.
        remedy: How to go on, as a part of a sentence; empty if that is not known.

    Args:
        signal_number: As the attribute.
        reason: As a part of a sentence; empty if it was the signal.
    """

    remedy = ""

    def __init__(self, signal_number: int, reason: str = "") -> None:
        super().__init__(reason or f"interrupted by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


def _raise_interrupted(signal_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_at_once)
    if _writing.depth:
        _writing.signal_number = signal_number
        return
    raise Interrupted(signal_number)


def _exit_at_once(signal_number: int, _frame: FrameType | None) -> NoReturn:
    # Everything on disk can bear this, as it can bear `kill -9`: nothing may delay somebody who asks twice.
    os._exit(128 + signal_number)


@dataclass
class _Writing:
    """Blocks of `uninterrupted` that are open, and the signal that waits for their end."""

    depth: int = 0
    signal_number: int | None = None


_writing = _Writing()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Raise `Interrupted` at the end of this block, if its signal arrives within it.

    For short writes of several steps, such as a transaction, which an exception at any place would leave half done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _writing.depth += 1
    try:
        yield
    finally:
        _writing.depth -= 1
        if not _writing.depth and (number := _writing.signal_number) is not None:
            _writing.signal_number = None
            raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within this block SIGINT and SIGTERM raise `Interrupted`; a second one ends the process at once.

    Does nothing outside the main thread, because Python delivers signals to the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise_interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
