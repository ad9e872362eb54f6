"""How a sweep is stopped: by a signal to the sweeper, or by a message in the study, which other machines read too."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

from optuna import Study

from flowersweep.interrupt import Interrupted
from flowersweep.sweep.storage.patience import STORAGE_FAILURES, cause, patience
from flowersweep.sweep.storage.stop_message import latest_stop, newer_stop, write_stop
from flowersweep.sweep.study.budget import Stop
from flowersweep.sweep.workers.worker import WorkerReport

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
# Workers have ended before that, if they can; then nobody waits for them any longer.
GIVE_UP_SECONDS = 25.0
WRITE_SECONDS = 10.0
_TICK = 0.1


class Stopping:
    """A block in which the sweeper waits for its workers, until they have ended or cannot be waited for any longer.

    SIGINT and SIGTERM are passed on to the workers, which end their trials properly: to joblib's as a signal, to all others
    as a message in the study. An exception instead would make joblib kill its workers during a trial. A worker in this
    process uses its own handlers.

    Whatever stops the sweep, `Interrupted` is raised in the block GIVE_UP_SECONDS later, or after a second signal: a launcher
    would wait for as long as a job is in the queue of a cluster.

    Args:
        study: The study.
        before: `Budget.stopped_before`.
        loss_of: What the workers depend on, in a sentence if it is lost; asked every few seconds.
        writes: Whether a signal to this process stops the whole study, or only this process and its workers.

    Attributes:
        signal_number: The first signal; None if there was none.
        by: What has stopped the sweep; None while it goes on.
        loss: From `loss_of`, after which nobody is waited for.
    """

    def __init__(
        self,
        study: Study,
        before: str,
        loss_of: Callable[[], str | None] = lambda: None,
        *,
        writes: bool = True,
    ) -> None:
        self.signal_number: int | None = None
        self.by: str | None = None
        self.loss: str | None = None
        self._loss_of = loss_of
        self._study = study
        self._before = before
        self._writes = writes
        self._gives_up = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="sweep-stopping")
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {
                number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
            }
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._thread.join(WRITE_SECONDS)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._gives_up or self.signal_number is not None:
            raise Interrupted(self.signal_number or number)
        self.signal_number = number
        self.by = signal.Signals(number).name
        for worker in multiprocessing.active_children():
            os.kill(worker.pid or os.getpid(), signal.SIGTERM)

    def _watch(self) -> None:
        looked = time.monotonic()
        while self.by is None and self.loss is None and not self._over.wait(_TICK):
            if time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                self._look()
                self.loss = self._loss_of()
        if self.signal_number is not None and self._writes:
            self._write(signal.Signals(self.signal_number).name)
        if not self._over.wait(0 if self.loss else GIVE_UP_SECONDS) and self._handlers:
            self._gives_up = True
            # A handler runs in the main thread, also in the middle of a launcher's wait.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def _look(self) -> None:
        try:
            with patience(0):
                message = newer_stop(self._study.user_attrs, self._before)
        except STORAGE_FAILURES:
            return  # the next look may succeed
        if message is not None:
            self.by = message.by

    def _write(self, by: str) -> None:
        try:
            with patience(WRITE_SECONDS, self._over.is_set):
                write_stop(self._study, by)
        except STORAGE_FAILURES as error:
            log.warning(
                "Workers on other machines were not told to stop, because the storage does not respond: %s",
                cause(error),
            )


def interruption_of(study: Study, reports: Sequence[WorkerReport], *, joins: bool) -> Interrupted | None:
    """What a sweep ends with that was stopped; None if it was not.

    Args:
        study: The study.
        reports: From `launch.launch`.
        joins: Whether the study goes on without this sweep.
    """
    signals = [report.signal_number for report in reports if report.signal_number is not None]
    if signals:
        interruption = Interrupted(signals[0])
    elif any(report.stop is Stop.STOPPED for report in reports):
        message = latest_stop(study.user_attrs)
        by = next((report.by for report in reports if report.by), message.by if message else "a message")
        interruption = Interrupted(signal.SIGTERM, f"stopped by {by}")
    else:
        return None
    interruption.remedy = (
        "the study goes on without it" if joins and signals else "the same command resumes the sweep"
    )
    return interruption
