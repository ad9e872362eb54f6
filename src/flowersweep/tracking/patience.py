"""Waiting for a tracking store that is locked, or away for a while: no training is lost to that."""

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from flowersweep.errors import TrackingError
from flowersweep.tracking.failure import is_passing, reason

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Long enough to restart a server, or to notice the program that keeps a file locked.
PATIENCE_SECONDS = 600.0

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_limit: ContextVar[float] = ContextVar("patience", default=PATIENCE_SECONDS)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Within this block nothing is waited for longer than so many seconds; 0 is one attempt."""
    token = _limit.set(min(seconds, _limit.get()))
    try:
        yield
    finally:
        _limit.reset(token)


@contextmanager
def cleaning_up(error: BaseException) -> Iterator[None]:
    """For what is still to be written because of `error`, whose place no failure of the store takes.

    Where the store is what failed, or somebody interrupts, there is one attempt and no waiting.
    """
    store_failed = isinstance(error, TrackingError)
    try:
        with patience(0 if store_failed or not isinstance(error, Exception) else PATIENCE_SECONDS):
            yield
    except TrackingError as trouble:
        log.log(logging.DEBUG if store_failed else logging.WARNING, "%s", trouble)


def waited() -> str:
    """How long was waited for what failed, as a part of a sentence; nothing if it was not waited for."""
    return f" (tried for {_limit.get():g} seconds)" if _limit.get() else ""


def patiently(call: Callable[[], Answer], again: Callable[[], Answer] | None = None) -> Answer:
    """Call until the store answers, for PATIENCE_SECONDS at most; say so once when the waiting begins and ends.

    Args:
        call: Asks the store for something.
        again: Asks for it after a failure, if it may have been done although no answer came, and must not be twice.

    Raises:
        Exception: What `call` raises that waiting cannot fix, or that still goes on at the end of the time.
    """
    began: float | None = None
    pause = _FIRST_PAUSE
    while True:
        try:
            answer = call()
        except Exception as error:
            now = time.monotonic()
            left = (now if began is None else began) + _limit.get() - now
            if left <= 0 or not is_passing(error):
                raise
            if began is None:
                began = now
                log.warning(
                    "The tracking store cannot be used now (%s); waiting for it, up to %g seconds.",
                    reason(error),
                    _limit.get(),
                )
        else:
            if began is not None:
                log.warning("The tracking store can be used again after %.0f s.", time.monotonic() - began)
            return answer
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
        call = again or call


class PatientClient:
    """An MLflow client whose every call waits for a store that is locked or away.

    Calls that must not be made twice (those that create something) are for `patiently` and the client itself.
    """

    def __init__(self, service: Any) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._service, name)

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            return patiently(lambda: method(*args, **kwargs))

        return call
