"""Tests of who owns a trial, and when an owner counts as gone."""

import os
import subprocess
import sys
import time

import optuna
import pytest

from flowersweep import process
from flowersweep.sweep.study.attributes import HEARTBEAT, OWNER
from flowersweep.sweep.study.claim import (
    GRACE_SECONDS,
    HEARTBEAT_SECONDS,
    beat,
    claim,
    claim_of,
    is_abandoned,
    is_at_work,
    is_of,
    new_claim,
    release,
)


@pytest.fixture
def study() -> optuna.Study:
    """A study in memory."""
    return optuna.create_study()


def _owned(**changes: object) -> dict[str, object]:
    study = optuna.create_study()
    trial = study.ask()
    claim(trial)
    return {OWNER: {**trial.user_attrs[OWNER], **changes}}


def test_claims_are_told_apart(study: optuna.Study) -> None:
    """A second claim on the same trial, even by the same process, is another one."""
    trial = study.ask()
    claim(trial)
    first = claim_of(trial)
    claim(trial)

    assert first is not None
    assert claim_of(trial) not in {first, None}
    assert claim_of(study.ask()) is None


def test_silence_while_the_storage_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can give a sign of life while the storage is away, so silence counts from its return on."""
    elsewhere = _owned(**{process.HOST_TAG: "elsewhere"})
    back = time.time() + 10 * GRACE_SECONDS
    monkeypatch.setattr("flowersweep.sweep.storage.patience._recovered", back)

    assert not is_abandoned(elsewhere, back + GRACE_SECONDS - 1)
    assert is_abandoned(elsewhere, back + GRACE_SECONDS + 1)


def test_workers_of_a_sweep_are_known() -> None:
    """A claim names the sweep of its worker, which is at work if it lives."""
    mine = _owned(sweep="mine")
    gone = _owned(sweep="mine", **{process.HOST_TAG: "elsewhere", "since": 1000.0})
    now = time.time()

    assert new_claim(sweep="mine")["sweep"] == "mine"
    assert (is_at_work(mine, "mine", now), is_at_work(mine, "other", now)) == (True, False)
    assert (is_of(gone, "mine"), is_at_work(gone, "mine", now)) == (True, False)
    assert not is_of({}, "mine")


def test_own_process_lives() -> None:
    """The trial of a living process is not abandoned, however long it gave no sign."""
    assert not is_abandoned(_owned(), time.time() + 10 * GRACE_SECONDS)


def test_dead_process_is_seen() -> None:
    """The trial of a process of this machine that has ended is abandoned at once."""
    code = "from flowersweep import process; print(process.start_of(__import__('os').getpid()))"
    ended = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    start = ended.communicate()[0].decode().strip()
    owner = {process.PID_TAG: str(ended.pid), process.START_TAG: start}

    assert is_abandoned(_owned(**owner), time.time())


def test_reused_process_id_is_not_taken_for_the_owner() -> None:
    """A living process with the owner's id that started at another time is not the owner."""
    start = process.identity()[process.START_TAG]
    earlier = f"{start.rsplit(' ', 1)[0]} 1"

    assert is_abandoned(
        _owned(**{process.PID_TAG: str(os.getpid()), process.START_TAG: earlier}), time.time()
    )


def test_other_machine_is_trusted_for_a_while() -> None:
    """An owner on another machine counts as gone once its last sign is older than the grace period."""
    attrs = _owned(**{process.HOST_TAG: "elsewhere", "since": 1000.0})

    assert not is_abandoned(attrs, 1600.0)
    assert is_abandoned(attrs, 1600.1)
    assert not is_abandoned({**attrs, HEARTBEAT: 1060.0}, 1660.0)
    assert is_abandoned({**attrs, HEARTBEAT: 1060.0}, 1660.1)
    assert HEARTBEAT_SECONDS <= GRACE_SECONDS / 10  # one that is missed, or comes late, is no death


def test_machines_of_one_name_do_not_take_each_others_trials() -> None:
    """An owner on another machine with this one's name, and one of unknown machine, are left to their heartbeats."""
    _, namespace, ticks = process.identity()[process.START_TAG].split(" ", 2)
    now = time.time()
    for machine in ("fedcba9876543210", ""):
        owner = {process.START_TAG: f"another-boot {namespace} {ticks}", "flowersweep.machine": machine}
        assert not is_abandoned(_owned(**owner), now + GRACE_SECONDS - 5)
        assert is_abandoned(_owned(**owner), now + GRACE_SECONDS + 5)


def test_nobody_owns_a_trial_without_claim() -> None:
    """A running trial without a claim was left by somebody who died before he made one."""
    assert is_abandoned({}, time.time())
    assert is_abandoned({OWNER: None}, time.time())


def test_beat_writes_the_time(study: optuna.Study) -> None:
    """A heartbeat is the present in seconds since the epoch."""
    trial = study.ask()
    beat(trial)

    assert abs(trial.user_attrs[HEARTBEAT] - time.time()) < 5


def test_release_keeps_number_and_values(study: optuna.Study) -> None:
    """A released trial waits without an owner, and is asked again with its number and values."""
    trial = study.ask()
    value = trial.suggest_float("x", 0, 1)
    claim(trial)
    release(study, study.trials[0]._trial_id)
    waiting = study.trials[0]
    again = study.ask()

    assert (waiting.state.name, waiting.user_attrs[OWNER]) == ("WAITING", None)
    assert (again.number, again.suggest_float("x", 0, 1)) == (0, value)
    assert len(study.trials) == 1
