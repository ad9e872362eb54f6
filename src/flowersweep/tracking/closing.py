"""Ending a run after success, failure or interruption."""

from collections.abc import Iterator
from contextlib import contextmanager

from flowersweep.errors import FlowersweepError
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.outbox.delivery import END_SECONDS
from flowersweep.tracking.patience import cleaning_up
from flowersweep.tracking.run import RunStatus


@contextmanager
def closing(tracker: MLflowTracker, *, wait: float = END_SECONDS) -> Iterator[MLflowTracker]:
    """End the run at the end of the block: FINISHED, FAILED after an exception, KILLED after an interruption.

    A run that was ended inside the block keeps that status. If the store refuses the end of the run, it stays RUNNING
    until `close_orphaned_runs` finds it.

    Args:
        tracker: The tracker of the run.
        wait: How long a finished run waits for a store that cannot be used, in seconds; others do not.
    """
    try:
        yield tracker
        _end_if_open(tracker, RunStatus.FINISHED)
        tracker.settle(wait)
    except BaseException as error:
        if isinstance(error, FlowersweepError | OSError):
            error.ended_a_run = True  # type: ignore[union-attr] # errors of the system have no such field, and get it here
        killed = isinstance(error, KeyboardInterrupt)  # the user stopped it
        with cleaning_up(error):
            _end_if_open(tracker, RunStatus.KILLED if killed else RunStatus.FAILED)
            tracker.settle(0)
        raise


def _end_if_open(tracker: MLflowTracker, status: RunStatus) -> None:
    if tracker.status is None:
        tracker.end(status)
