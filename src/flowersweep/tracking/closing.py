"""Ending a run after success, failure or interruption."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from flowersweep.errors import FlowersweepError
from flowersweep.tracking.outbox.delivery import END_SECONDS
from flowersweep.tracking.patience import cleaning_up
from flowersweep.tracking.run import RunStatus


class _Run(Protocol):
    """What `MLflowTracker` has for the end of a run."""

    @property
    def status(self) -> RunStatus | None: ...

    def end(self, status: RunStatus) -> None: ...

    def settle(self, seconds: float) -> None: ...


Tracker = TypeVar("Tracker", bound=_Run)


@contextmanager
def closing(tracker: Tracker, *, wait: float = END_SECONDS) -> Iterator[Tracker]:
    """End the run at the end of the block: FINISHED, FAILED after an exception, KILLED after an interruption.

    A run that was ended inside the block keeps that status. If the store refuses the end of the run, it stays RUNNING
    until `close_orphaned_runs` finds it.

    Args:
        tracker: The tracker of the run.
        wait: How long a finished run waits for a store that cannot be used, in seconds; others do not.
    """
    with closed_on_failure(tracker):
        yield tracker
        _end_if_open(tracker, RunStatus.FINISHED)
        tracker.settle(wait)


@contextmanager
def closed_on_failure(tracker: Tracker) -> Iterator[Tracker]:
    """End the run if the block raises, as `closing` does; otherwise it goes on after the block.

    For what happens between the start of a run and `closing`.
    """
    try:
        yield tracker
    except BaseException as error:
        if isinstance(error, FlowersweepError | OSError):
            error.ended_a_run = True  # type: ignore[union-attr] # errors of the system have no such field, and get it here
        killed = isinstance(error, KeyboardInterrupt)  # the user stopped it
        with cleaning_up(error):
            _end_if_open(tracker, RunStatus.KILLED if killed else RunStatus.FAILED)
            tracker.settle(0)
        raise


def _end_if_open(tracker: _Run, status: RunStatus) -> None:
    if tracker.status is None:
        tracker.end(status)
