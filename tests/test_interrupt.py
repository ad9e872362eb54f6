"""Signals as an exception, sent to this very process."""

import signal
import subprocess
import sys
import threading

import pytest

from flowersweep.interrupt import Interrupted, interruptible, uninterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def handlers() -> list[object]:
    """What both signals mean now."""
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_an_exception_with_its_number(number: signal.Signals) -> None:
    """It is raised where the program is, can be caught as KeyboardInterrupt, and afterwards signals are what they were."""
    before = handlers()
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        signal.raise_signal(number)

    assert isinstance(caught.value, Interrupted)
    assert (caught.value.signal_number, str(caught.value)) == (number, f"interrupted by {number.name}")
    assert handlers() == before


CLEANING_UP = """
import signal, time
from flowersweep.interrupt import interruptible
try:
    with interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            print("cleaning up", flush=True)
            signal.raise_signal(signal.{second})
            time.sleep(60)
finally:
    print("never", flush=True)
"""


@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_ends_the_process_at_once(second: signal.Signals) -> None:
    """Nothing is cleaned up any more, as after `kill -9`; the exit code names the second signal."""
    program = CLEANING_UP.format(second=second.name)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (128 + second, b"cleaning up\n", b"")


def test_without_a_signal_the_handlers_come_back_too() -> None:
    """Also after an error of the block's own."""
    before = handlers()
    with interruptible():
        assert all(now is not then for now, then in zip(handlers(), before, strict=True))
    assert handlers() == before
    with pytest.raises(ValueError, match="own"), interruptible():
        raise ValueError("own")
    assert handlers() == before


def test_another_thread_leaves_signals_alone() -> None:
    """Python delivers signals to the main thread only, whose handlers are then not this block's business."""
    before, during = handlers(), []

    def run() -> None:
        with interruptible():
            during.append(handlers())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert during == [before]
    assert handlers() == before


@pytest.mark.parametrize("error", [None, ValueError])
def test_a_write_is_completed_before_the_signal_is_raised(error: type[Exception] | None) -> None:
    """A signal within nested writes is raised at the end of the outermost one, once, also if the write fails."""
    steps: list[str] = []

    def write() -> None:
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGTERM)
                steps.append("inner")
            steps.append("outer")
            if error is not None:
                raise error
        steps.append("after")

    with pytest.raises(Interrupted) as caught, interruptible():
        write()
    assert steps == ["inner", "outer"]
    assert caught.value.signal_number == signal.SIGTERM
    with interruptible(), uninterrupted():
        steps.append("nothing is left of it")


def test_writes_of_another_thread_delay_no_signal() -> None:
    """Signals are handled in the main thread, where nothing is being written."""
    inside, leave = threading.Event(), threading.Event()

    def write() -> None:
        with uninterrupted():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=write)
    thread.start()
    inside.wait(10)
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(signal.SIGINT)
    leave.set()
    thread.join()
