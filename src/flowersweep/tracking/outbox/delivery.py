"""When records are delivered: at once, when a store is back, at the end of a run, or by the next command that opens the store."""

import logging
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from flowersweep.config.locations import cache_dir
from flowersweep.config.pasting import pasted
from flowersweep.errors import TrackingError
from flowersweep.interrupt import uninterrupted
from flowersweep.redaction import redacted
from flowersweep.texts import counted
from flowersweep.tracking.failure import is_passing, may_wait, reason
from flowersweep.tracking.mlflow_api import bare_client
from flowersweep.tracking.outbox.outbox import JOURNAL, Outbox
from flowersweep.tracking.outbox.record import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

OUTBOX = "outbox"
# The wait at the end of a run: long enough to restart a server; nothing is lost afterwards.
END_SECONDS = 60.0

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_LONGEST_PAUSE_AT_END = 2.0
# Attempts with a store that does not answer take at most this part of the time.
_MAX_SHARE = 0.05


@dataclass
class _Absence:
    """A store that cannot be used at present; shared by all runs of this process."""

    began: float
    next_attempt: float
    pause: float = _FIRST_PAUSE
    delivered: int = 0


_absences: dict[str, _Absence] = {}


class Delivery:
    """Delivers the records of a run in their order, now or later.

    Args:
        uri: The tracking URI of the store.
        places: From `places`.
        run_id: The run.
    """

    def __init__(self, uri: str, places: Sequence[Path], run_id: str) -> None:
        self._uri = uri
        self._service = bare_client(uri)
        self._outbox = Outbox(places, run_id)

    def send(self, record: Record) -> None:
        """`take` a record, and `catch_up`."""
        self.take(record)
        self.catch_up()

    def take(self, record: Record) -> None:
        """Deliver a record, or keep it on disk if the store cannot be used now; a signal waits for the end of both.

        Raises:
            Exception: The store refuses the record.
            TrackingError: It can be neither delivered nor kept.
        """
        if self._outbox.waiting_in or self._is_away():
            self._keep(record, None)
            return
        began = time.monotonic()
        with uninterrupted() if record.is_short(self._service) else nullcontext():
            try:
                record.deliver(self._service, self._outbox.run_id)
            except Exception as error:
                if not may_wait(error):
                    raise
                self._keep(record, error)
                self._postpone(error, began)

    def catch_up(self) -> None:
        """Try to deliver what waits, unless it has just been tried.

        Raises:
            Exception: The store refuses a record.
        """
        if self._outbox.waiting_in and not self._is_away():
            self.attempt()

    @property
    def is_done(self) -> bool:
        """Whether nothing waits on disk."""
        return not self._outbox.waiting_in

    def attempt(self) -> Exception | None:
        """Try to deliver what waits.

        Returns:
            The error if the store still cannot be used.

        Raises:
            Exception: The store refuses a record.
        """
        began, number = time.monotonic(), 0
        try:
            for _ in self._outbox.deliver(self._service):
                number += 1
        except Exception as error:
            if not may_wait(error):
                raise
            self._postpone(error, began)
            return error
        finally:
            if (absence := _absences.get(self._uri)) is not None:
                absence.delivered += number
        if (absence := _absences.pop(self._uri, None)) is not None:
            log.warning(
                "The tracking store can be used again after %.0f s; stored what waited: %s.",
                time.monotonic() - absence.began,
                counted(absence.delivered, "record"),
            )
        return None

    def _is_away(self) -> bool:
        absence = _absences.get(self._uri)
        return absence is not None and time.monotonic() < absence.next_attempt

    def _keep(self, record: Record, failure: Exception | None) -> None:
        try:
            self._outbox.add(record)
        except OSError as error:
            before = "" if failure is None else f"{reason(failure)}; "
            raise TrackingError(
                f"Cannot store what run {self._outbox.run_id} records: {before}and it cannot wait on disk "
                f"({reason(error)}); free some space, or make the folder writable."
            ) from error

    def _postpone(self, error: Exception, began: float) -> None:
        now = time.monotonic()
        absence = _absences.get(self._uri)
        if absence is None:
            absence = _absences[self._uri] = _Absence(began, now)
            log.warning(
                "The tracking store cannot be used now (%s); what is recorded meanwhile waits in %s.",
                reason(error),
                self._outbox.place,
            )
        absence.next_attempt = now + max(absence.pause, (now - began) / _MAX_SHARE)
        absence.pause = min(2 * absence.pause, _LONGEST_PAUSE)


def places(uri: str, beside: Path | None) -> tuple[Path, ...]:
    """The folders of the outboxes of a store: beside the results, unless they are on a server, and in the cache folder.

    Args:
        uri: The tracking URI of the store.
        beside: The folder of the results on this machine.
    """
    name = sha256(redacted(uri).encode()).hexdigest()[:16]
    in_cache = cache_dir(os.environ.get("FLOWERSWEEP_CACHE") or None) / OUTBOX / name
    return (in_cache,) if beside is None else (beside / OUTBOX, in_cache)


def waiting_runs(folders: Sequence[Path]) -> list[str]:
    """The runs with records in these folders, in the order in which they began to wait."""
    found = [journal for folder in folders for journal in folder.glob(f"*/{JOURNAL}")]
    return list(dict.fromkeys(journal.parent.name for journal in sorted(found, key=_changed)))


def deliver_all(uri: str, folders: Sequence[Path]) -> tuple[int, dict[str, Exception]]:
    """Try to deliver all records that wait for a store.

    Returns:
        How many were delivered, and the error of each run of which some could not be.
    """
    delivered, left = 0, {}
    service: MlflowClient | None = None
    away: Exception | None = None
    for run_id in waiting_runs(folders):
        if away is not None:  # the others would wait for the same
            left[run_id] = away
            continue
        service = service or bare_client(uri)
        try:
            for _ in Outbox(folders, run_id).deliver(service):
                delivered += 1
        except Exception as error:
            if not may_wait(error) and not _is_refusal(error):
                raise
            left[run_id] = error
            away = error if is_passing(error) else None
    return delivered, left


def settle(uri: str, folders: Sequence[Path], seconds: float) -> None:
    """Deliver all records that wait for a store, waiting for it for some time; tell where the rest waits.

    An interruption ends the wait, and nothing else: what is left is on disk.
    """
    if not waiting_runs(folders):
        return
    end, pause = time.monotonic() + seconds, _FIRST_PAUSE
    try:
        delivered, left = deliver_all(uri, folders)
        if seconds and any(map(is_passing, left.values())):
            log.warning(
                "Waiting for the tracking store for up to %g seconds; Ctrl-C ends the wait ...", seconds
            )
            while any(map(is_passing, left.values())) and time.monotonic() < end:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_AT_END)
                more, left = deliver_all(uri, folders)
                delivered += more
    except KeyboardInterrupt:
        if not seconds:
            raise
        delivered, left = 0, {}
    if delivered:
        log.warning("Stored what waited for the tracking store: %s.", counted(delivered, "record"))
    _absences.pop(uri, None)
    tell_waiting(uri, folders, left)


def tell_waiting(uri: str, folders: Sequence[Path], errors: dict[str, Exception]) -> None:
    """Log one line about the records that still wait: where, why, and what delivers them."""
    runs = waiting_runs(folders)
    if not runs:
        return
    outboxes = [Outbox(folders, run) for run in runs]
    where = dict.fromkeys(str(outbox.place) for outbox in outboxes)
    why = next((f" ({reason(error)})" for run, error in errors.items() if run in runs), "")
    log.warning(
        "Waiting in %s for the tracking store%s: %s of %s. The next command that uses these results stores them, or: %s",
        " and ".join(where),
        why,
        counted(sum(map(len, outboxes)), "record"),
        counted(len(runs), "run"),
        fix_command(uri, folders),
    )


def fix_command(uri: str, folders: Sequence[Path]) -> str:
    """The command that delivers what waits in the outboxes of a store."""
    beside = [pasted("tracking.dir", str(folder.parent)) for folder in folders[:-1]]
    is_default = uri.startswith("sqlite") and all(
        uri.endswith(f"{one.parent}/mlflow.db") for one in folders[:-1]
    )
    where = beside if is_default else [pasted("tracking.uri", redacted(uri)), *beside]
    return " ".join(["python -m flowersweep doctor --fix", *where])


def _is_refusal(error: Exception) -> bool:
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException | TrackingError)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_ctime
    except FileNotFoundError:  # another process has just delivered it
        return 0.0
