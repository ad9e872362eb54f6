"""Tests of how a sweep is stopped, by a signal or by a message."""

import signal
import time
from pathlib import Path

import optuna
import pytest

from flowersweep.interrupt import Interrupted
from flowersweep.sweep.storage.stop_message import latest_stop, write_stop
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.workers.stopping import Stopping


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """A study in a file that several threads can use."""
    return optuna.create_study(storage=open_storage(f"journal:{tmp_path}/studies.log", tmp_path))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr("flowersweep.sweep.workers.stopping.GIVE_UP_SECONDS", 0.2)
    monkeypatch.setattr("flowersweep.sweep.workers.stopping.LOOK_SECONDS", 0.0)


def test_a_signal_is_written_and_workers_have_time(study: optuna.Study) -> None:
    """The block goes on, so that workers can end; when it is left, the message is in the study and handlers are as before."""
    before = signal.getsignal(signal.SIGTERM)
    with Stopping(study, "") as stopping:
        signal.raise_signal(signal.SIGTERM)
        assert (stopping.signal_number, stopping.by) == (signal.SIGTERM, "SIGTERM")
    message = latest_stop(study.user_attrs)

    assert message is not None
    assert message.by.startswith("SIGTERM on ")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.usefixtures("quick")
def test_workers_that_do_not_end_are_not_waited_for(study: optuna.Study) -> None:
    """Such as jobs in the queue of a cluster."""
    began = time.monotonic()
    with Stopping(study, ""):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted) as raised:
            time.sleep(20)

    assert raised.value.signal_number == signal.SIGINT
    assert time.monotonic() - began < 10


def test_a_second_signal_ends_the_wait(study: optuna.Study) -> None:
    """At once."""
    with Stopping(study, "") as stopping:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
        assert stopping.signal_number == signal.SIGINT


@pytest.mark.usefixtures("quick")
def test_a_message_from_elsewhere_stops_it(study: optuna.Study) -> None:
    """One that is older than the sweep does not."""
    old = write_stop(study, "SIGINT")
    with Stopping(study, old.id) as stopping:
        time.sleep(0.5)
        before = stopping.by
        new = write_stop(study, "flowersweep stop")
        with pytest.raises(Interrupted):
            time.sleep(20)

    assert stopping.signal_number is None
    assert (before, stopping.by) == (None, new.by)
    assert latest_stop(study.user_attrs) == new


@pytest.mark.usefixtures("quick")
def test_a_loss_ends_the_wait(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, because there is nobody to wait for; nothing is written to the study."""
    monkeypatch.setattr("flowersweep.sweep.workers.stopping.GIVE_UP_SECONDS", 100)
    with Stopping(study, "", lambda: "The head node is lost") as stopping, pytest.raises(Interrupted):
        time.sleep(20)

    assert (stopping.loss, stopping.by) == ("The head node is lost", None)
    assert latest_stop(study.user_attrs) is None


def test_one_that_has_joined_stops_alone(study: optuna.Study) -> None:
    """Nothing is written to the study."""
    with Stopping(study, "", writes=False) as stopping:
        signal.raise_signal(signal.SIGINT)

    assert stopping.signal_number == signal.SIGINT
    assert latest_stop(study.user_attrs) is None
