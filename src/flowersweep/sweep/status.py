"""Which workers run the trials of a study, on which machines, and how they are stopped; with the study alone."""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from flowersweep import process
from flowersweep.sweep.storage.stop_message import latest_stop, write_stop
from flowersweep.sweep.study.attributes import COMMAND, GRID_POINT, N_STEPS, OWNER
from flowersweep.sweep.study.claim import is_abandoned, last_sign
from flowersweep.sweep.study.reclaim import reclaim
from flowersweep.texts import counted

_ORDER = ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")
# Workers end within 30 seconds.
WAIT_SECONDS = 45.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Running:
    """A running trial and its worker.

    Attributes:
        host: The name of the machine, with more if several machines have this name.
        pid: The process of the worker; empty if it died before it could say so.
        trial: The number of the trial.
        step: How many epochs it has reported, and of how many; with repeats, seeds.
        seconds: Since the last sign of life.
        is_lost: Whether the worker is dead, so that the trial will be run again.
    """

    host: str
    pid: str
    trial: int
    step: str
    seconds: float
    is_lost: bool


def running_trials(study: Study, now: float) -> list[Running]:
    """The running trials of a study, by machine.

    Args:
        study: The study.
        now: Seconds since the epoch.
    """
    trials = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    hosts = _hosts([trial.user_attrs.get(OWNER) or {} for trial in trials])
    found = [_running(trial, host, now) for trial, host in zip(trials, hosts, strict=True)]
    return sorted(found, key=lambda one: (one.host, one.trial))


def stop(study: Study, by: str) -> str:
    """Stop a study on all machines, and wait until no trial is running; those of dead workers wait again.

    Of a finished study, nothing is stopped.

    Args:
        study: The study.
        by: What stops it, as in "flowersweep stop".

    Returns:
        A sentence about the workers that do not respond; empty if all have ended.
    """
    if is_finished(study):
        return ""
    write_stop(study, by)
    until = time.monotonic() + WAIT_SECONDS
    while True:
        reclaim(study)
        n_running = len(study.get_trials(deepcopy=False, states=[TrialState.RUNNING]))
        if not n_running:
            return ""
        if time.monotonic() >= until:
            verb = "does" if n_running == 1 else "do"
            return f"{counted(n_running, 'worker')} {verb} not respond; a trial is run again when its worker was silent for ten minutes."
        time.sleep(_LOOK_SECONDS)


def is_finished(study: Study) -> bool:
    """Whether all trials of a study are done; False if it is unknown how many it was started for."""
    n_trials = (study.user_attrs.get(COMMAND) or {}).get("trials")
    trials = study.get_trials(deepcopy=False)
    return n_trials is not None and len(trials) >= n_trials and all(one.state.is_finished() for one in trials)


def in_words(study: Study, now: float) -> str:
    """Whether a study is finished, was stopped, or has no workers; empty if it has some.

    Args:
        study: The study.
        now: Seconds since the epoch.
    """
    message = latest_stop(study.user_attrs)
    running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    runs = any(not is_abandoned(trial.user_attrs, now) for trial in running)
    if is_finished(study):
        trials = study.get_trials(deepcopy=False)
        end = ", up to the end of the grid" if all(GRID_POINT in one.user_attrs for one in trials) else ""
        return f"finished: all its trials are done; a larger hydra.sweeper.n_trials continues it{end}"
    if message is not None and message.holds:
        return f"stopped by {message.by} {ago(now - message.at)}; the sweep's command starts it again"
    return (
        "" if runs else "no worker is running a trial; if the sweep was stopped, its command goes on with it"
    )


def ago(seconds: float) -> str:
    """A duration up to now."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"


def counts(study: Study) -> str:
    """How many trials there are of each state, as in "12 complete, 4 running"."""
    found = Counter(trial.state.name for trial in study.get_trials(deepcopy=False))
    return ", ".join(f"{found[state]} {state.lower()}" for state in _ORDER if found[state]) or "no trials yet"


def _running(trial: FrozenTrial, host: str, now: float) -> Running:
    attrs = trial.user_attrs
    owner: Mapping[str, Any] = attrs.get(OWNER) or {}
    step, n_steps = max(trial.intermediate_values, default=0), attrs.get(N_STEPS)
    return Running(
        host,
        str(owner.get(process.PID_TAG, "")),
        trial.number,
        f"{step}/{n_steps}" if n_steps else str(step),
        max(0.0, now - last_sign(attrs)) if owner else 0.0,
        is_abandoned(attrs, now),
    )


def _hosts(owners: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of machines; where several machines or containers have the same name, with a part of their identity."""
    names = [str(owner.get(process.HOST_TAG, "?")) for owner in owners]
    identities = [_identity(owner) for owner in owners]
    sharing = Counter(name for name, _ in set(zip(names, identities, strict=True)))
    return [
        f"{name} ({identity})" if sharing[name] > 1 else name
        for name, identity in zip(names, identities, strict=True)
    ]


def _identity(owner: Mapping[str, Any]) -> str:
    boot_and_namespace = str(owner.get(process.START_TAG, "")).split(" ")[:2]
    text = " ".join([str(owner.get(process.MACHINE_TAG, "")), *boot_and_namespace])
    return hashlib.sha256(text.encode()).hexdigest()[:6]
