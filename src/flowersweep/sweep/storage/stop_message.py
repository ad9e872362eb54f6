"""The message in a study that stops it: every worker, on whatever machine, gives its trial back and ends.

It is never removed: a worker obeys a message that is newer than its sweep, however late it reads it.
"""

import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optuna import Study

from flowersweep.doors.optuna_api import storage_of
from flowersweep.sweep.storage.lock import locked

# The user attribute of the study; studies have it, so it must not be changed.
STOP = "flowersweep.stop"
# How often a running worker reads it. With the time to end a training, all workers have ended within 30 seconds.
LOOK_SECONDS = 10.0


@dataclass(frozen=True)
class StopMessage:
    """A message that stops a study.

    Attributes:
        id: A unique name.
        by: What wrote it, as in "SIGINT on HOST".
        at: When, in seconds since the epoch.
        holds: Whether no sweep of the study has been started since.
    """

    id: str
    by: str
    at: float
    holds: bool = True


def latest_stop(user_attrs: Mapping[str, Any]) -> StopMessage | None:
    """The latest message of a study; None if it was never stopped.

    Args:
        user_attrs: The study's.
    """
    found = user_attrs.get(STOP)
    return None if found is None else StopMessage(**found)


def newer_stop(user_attrs: Mapping[str, Any], before: str) -> StopMessage | None:
    """The message that concerns a sweep; None if there is none.

    Args:
        user_attrs: The study's.
        before: The id of the latest message when the sweep started; empty if there was none.
    """
    message = latest_stop(user_attrs)
    return None if message is None or message.id == before else message


def write_stop(study: Study, by: str) -> StopMessage:
    """Stop a study.

    Args:
        study: The study.
        by: What stops it, as in "SIGINT"; the name of this machine is added.
    """
    message = StopMessage(uuid.uuid4().hex, f"{by} on {socket.gethostname()}", time.time())
    locked(storage_of(study), lambda: study.set_user_attr(STOP, asdict(message)))
    return message


def clear_stop(study: Study) -> None:
    """Allow the study to go on; workers of earlier sweeps that have not read the message yet still obey it."""

    def clear() -> None:
        message = latest_stop(study.user_attrs)
        if message is not None and message.holds:
            study.set_user_attr(STOP, {**asdict(message), "holds": False})

    locked(storage_of(study), clear)
