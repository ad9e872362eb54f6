"""Whether a lock excludes: threads that add to a number in two steps lose additions without one."""

import threading
import time
from collections.abc import Callable

from optuna.storages import BaseStorage

from flowersweep.sweep.storage.lock import storage_lock

PER_THREAD = 5


def added(storage_of: Callable[[], BaseStorage], *, n_threads: int, seconds: float) -> int:
    """What a number comes to that threads add 1 to, PER_THREAD times each, under a storage's lock.

    Args:
        storage_of: Called once in each thread, for its own connection or for one that all share.
        n_threads: How many there are.
        seconds: Between the two steps of an addition.
    """
    total = 0

    def add() -> None:
        nonlocal total
        storage = storage_of()
        for _ in range(PER_THREAD):
            with storage_lock(storage):
                seen = total
                time.sleep(seconds)
                total = seen + 1

    threads = [threading.Thread(target=add) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return total
