"""Processes that end with the one they work for: workers with their sweeper, training processes with their worker."""

import ctypes
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from flowersweep import process as processes

LOOK_SECONDS = 1.0
# For a worker to end its training and to give its trial back; a storage may be locked for longer.
PATIENCE_SECONDS = 15.0

_PR_SET_PDEATHSIG = 1


@contextmanager
def ending_with_sweeper(sweeper: Mapping[str, str], kill: Callable[[], None]) -> Iterator[None]:
    """A block in which a worker works; from its start on, this process ends when the sweeper has died.

    It ends when the block does, or after PATIENCE_SECONDS. Without this, it would try for ever to send its result: the
    other workers hold both ends of the pipe on which nobody reads.

    Args:
        sweeper: `process.identity()` of the process that launched this one; may be this one, or on another machine.
        kill: Ends what the block has started, without waiting.
    """
    over = threading.Event()
    if sweeper[processes.PID_TAG] != str(os.getpid()):
        threading.Thread(target=_watch_sweeper, args=(sweeper, over, kill), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch_sweeper(sweeper: Mapping[str, str], over: threading.Event, kill: Callable[[], None]) -> None:
    began = time.time()
    while not processes.is_dead(sweeper, began):
        time.sleep(LOOK_SECONDS)
    over.wait(PATIENCE_SECONDS)
    kill()
    os._exit(1)


def die_with_worker(worker: int) -> None:
    """Make sure that this process does not outlive its worker, however the worker dies.

    Args:
        worker: Its process id.
    """
    if platform.system() != "Linux":
        threading.Thread(target=_watch_worker, args=(worker,), daemon=True).start()
        return
    prctl = ctypes.CDLL(None).prctl
    _die_with(prctl, worker)
    # Children that it forks end with it, for example those that load pictures. Not those of other threads: Linux would
    # already kill them when the thread ends.
    me, is_main = os.getpid(), [False]

    def before() -> None:
        is_main[0] = threading.current_thread() is threading.main_thread()

    def in_child() -> None:
        if is_main[0] and os.getppid() in {me, 1}:
            _die_with(prctl, me)

    os.register_at_fork(before=before, after_in_child=in_child)


def _die_with(prctl: Callable[[int, int], int], parent: int) -> None:
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _watch_worker(worker: int) -> None:
    while os.getppid() == worker:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
