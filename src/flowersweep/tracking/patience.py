"""Waiting for a tracking store that is locked or unavailable for a while, so that no training is lost."""

import functools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

from flowersweep.errors import TrackingError
from flowersweep.interrupt import uninterrupted
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
    """Limit the waiting in this block to a number of seconds; 0 means a single attempt."""
    token = _limit.set(min(seconds, _limit.get()))
    try:
        yield
    finally:
        _limit.reset(token)


@contextmanager
def cleaning_up(error: BaseException) -> Iterator[None]:
    """Write something because of `error`; a failure of the store in this block does not replace `error`.

    If the store itself failed, or the user interrupts, there is one attempt and no waiting.
    """
    store_failed = isinstance(error, TrackingError)
    try:
        with patience(0 if store_failed or not isinstance(error, Exception) else PATIENCE_SECONDS):
            yield
    except TrackingError as trouble:
        log.log(logging.DEBUG if store_failed else logging.WARNING, "%s", trouble)


def waited() -> str:
    """The time that was waited before the failure, as a part of a sentence; empty if there was no waiting."""
    return f" (tried for {_limit.get():g} seconds)" if _limit.get() else ""


def patiently(
    call: Callable[[], Answer], again: Callable[[], Answer] | None = None, *, whole: bool = True
) -> Answer:
    """Call until the store answers, for at most PATIENCE_SECONDS; log the start and the end of the waiting.

    Args:
        call: Makes a request to the store.
        again: Makes the request after a failure, if the first one may have succeeded without an answer and must not
            be repeated.
        whole: Whether a signal waits for the end of a request; False for transfers that may take long.

    Raises:
        Exception: An error of `call` that waiting cannot fix, or that persists until the end of the time.
    """
    began: float | None = None
    pause = _FIRST_PAUSE
    while True:
        try:
            with uninterrupted() if whole else nullcontext():
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
    """An MLflow client of which every call waits for a store that is locked or unavailable.

    Calls that must not be made twice (those that create something) use `patiently` and the client itself.
    """

    def __init__(self, service: Any) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._service, name)

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            whole = not name.startswith(("download", "log_artifact", "log_model_artifact"))
            return patiently(lambda: method(*args, **kwargs), whole=whole)

        return call
