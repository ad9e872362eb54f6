"""Which process runs a trial: written when a worker takes it, read to decide whether that process is still alive."""

import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from flowersweep import process
from flowersweep.doors.optuna_api import storage_of
from flowersweep.sweep.storage.kept import FOLDER
from flowersweep.sweep.storage.patience import recovered
from flowersweep.sweep.study.attributes import HEARTBEAT, OWNER

HEARTBEAT_SECONDS = 60.0
# Clocks of machines differ, and a database may hang for a while, so this is much longer than a heartbeat.
GRACE_SECONDS = 600.0

_CLAIM = "claim"
_SWEEP = "sweep"
_SINCE = "since"


def new_claim(folder: Path | None = None, sweep: str = "") -> dict[str, Any]:
    """A claim of this process for one trial.

    Args:
        folder: Where the process keeps the end of a trial until the study has it; None for nowhere.
        sweep: `Budget.sweep` of the sweep that the process works for.
    """
    kept = {} if folder is None else {FOLDER: str(folder)}
    mark = {_CLAIM: uuid.uuid4().hex, _SWEEP: sweep, _SINCE: time.time()}
    return {**process.identity(), **mark, **kept}


def claim(trial: Trial, owner: Mapping[str, Any] | None = None) -> None:
    """Make this process the owner of a trial; must be called under the storage's lock.

    Args:
        trial: A running one.
        owner: From `new_claim`; None for a new one.
    """
    trial.set_user_attr(OWNER, dict(owner or new_claim()))


def claim_of(trial: Trial | FrozenTrial) -> str | None:
    """The latest claim on a trial; None if there is none."""
    owner = trial.user_attrs.get(OWNER) or {}
    return owner.get(_CLAIM)


def beat(trial: Trial) -> None:
    """Record that the owner is alive, for processes on other machines, which cannot see it."""
    trial.set_user_attr(HEARTBEAT, time.time())


def is_at_work(user_attrs: Mapping[str, Any], sweep: str, now: float) -> bool:
    """Tell whether a running trial belongs to a living worker of a sweep.

    Args:
        user_attrs: The trial's.
        sweep: `Budget.sweep`.
        now: Seconds since the epoch.
    """
    return is_of(user_attrs, sweep) and not is_abandoned(user_attrs, now)


def is_of(user_attrs: Mapping[str, Any], sweep: str) -> bool:
    """Tell whether a running trial belongs to a worker of a sweep, dead or alive.

    Args:
        user_attrs: The trial's.
        sweep: `Budget.sweep`.
    """
    owner = user_attrs.get(OWNER) or {}
    return bool(owner.get(_SWEEP) == sweep)


def last_sign(user_attrs: Mapping[str, Any]) -> float:
    """When the owner of a trial last gave a sign of life, in seconds since the epoch.

    Args:
        user_attrs: Those of a trial with an owner.
    """
    return max(float(user_attrs[OWNER][_SINCE]), float(user_attrs.get(HEARTBEAT) or 0))


def release(study: Study, trial_id: int) -> None:
    """Put a running trial back among the waiting ones, under its number and with its values."""
    storage = storage_of(study)
    # In this order, so that the losses of a running trial without an owner are always counted already.
    storage.set_trial_user_attr(trial_id, OWNER, None)
    storage.set_trial_state_values(trial_id, TrialState.WAITING)


def is_abandoned(user_attrs: Mapping[str, Any], now: float) -> bool:
    """Tell whether the process that runs a trial is gone.

    A process of this machine is checked directly; one of another machine, or of another container, counts as gone if
    its last heartbeat is older than GRACE_SECONDS.

    Args:
        user_attrs: The trial's.
        now: Seconds since the epoch.
    """
    owner = user_attrs.get(OWNER)
    if owner is None:
        return True  # claims are made under the lock, so the process that asked for it died before its claim
    last = last_sign(user_attrs)
    if process.is_dead(owner, last):
        return True
    pid = int(owner[process.PID_TAG])
    here = owner[process.HOST_TAG] == socket.gethostname()
    if here and owner[process.START_TAG] and process.start_of(pid) == owner[process.START_TAG]:
        return False
    # While the storage was away, nobody could record a sign of life.
    return now - max(last, recovered()) > GRACE_SECONDS
