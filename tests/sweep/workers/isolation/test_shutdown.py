"""Tests of when a worker has to stop."""

import signal
import subprocess
import sys

import pytest

from flowersweep import process
from flowersweep.sweep.workers.isolation.shutdown import Shutdown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_remembered_and_handlers_come_back(number: int) -> None:
    """A signal raises nothing within the block, and means after it what it meant before."""
    before = signal.getsignal(number)
    with Shutdown(None) as shutdown:
        assert not shutdown.must_stop()
        signal.raise_signal(number)
        assert shutdown.must_stop()
        assert shutdown.signal_number == number

    assert signal.getsignal(number) is before


def test_submitits_signal_comes_after_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its handler ends the process, which must not happen while the study is written."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    told: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _: told.append(number))
    try:
        with Shutdown({"flowersweep.pid": "1"}) as shutdown:
            signal.raise_signal(signal.SIGUSR2)
            assert (shutdown.must_stop(), told) == (True, [])
        assert told == [signal.SIGUSR2]
        with Shutdown({"flowersweep.pid": "1"}):
            signal.raise_signal(signal.SIGTERM)
        assert told == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_dead_sweeper_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the process that launched this one has ended, it has to stop; while that lives, it does not."""
    monkeypatch.setattr("flowersweep.sweep.workers.isolation.shutdown.SWEEPER_SECONDS", 0.0)
    sweeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    tags = {
        **process.identity(),
        process.PID_TAG: str(sweeper.pid),
        process.START_TAG: process.start_of(sweeper.pid) or "",
    }
    with Shutdown(tags) as shutdown:
        assert not shutdown.must_stop()
        sweeper.communicate(b"\n")
        assert shutdown.must_stop()
        assert shutdown.signal_number is None
