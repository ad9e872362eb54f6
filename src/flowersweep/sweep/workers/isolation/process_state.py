"""Trials share a process and its modules; the rest of its state is as before when the next one starts."""

import gc
import json
import locale
import logging
import os
import random
import resource
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from flowersweep.texts import expanded
from flowersweep.tracking import mlflow_api

log = logging.getLogger(__name__)

# Packages read and set such variables once, when they are imported, and a later trial does not import them again.
_OF_PACKAGES = ("TF_", "TF2_", "KERAS_", "XLA_", "CUDA_")


@contextmanager
def restored() -> Iterator[None]:
    """Restore the state of the process after the block.

    That is the working folder, environment variables, signal handlers and timers, locale, umask, the lists of `sys`,
    the standard streams and their descriptors, loggers, warnings filters, limits of the interpreter and of the process, and
    the global configuration of Keras and MLflow. Random generators are seeded anew, as in a new process, and runs of MLflow that the
    block has left open are ended.
    """
    with warnings.catch_warnings(), ExitStack() as stack:
        for read, write in _STATES:
            stack.callback(_written, write, read())
        try:
            yield
        finally:
            _seed_anew()


def _written(write: Callable[[Any], object], before: Any) -> None:
    try:
        write(before)
    except (OSError, ValueError) as error:  # a hard limit cannot be raised again
        log.warning("A state of the process could not be restored after a trial: %s", error)


def _set_environment(before: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name not in before and not name.startswith(_OF_PACKAGES)]:
        del os.environ[name]
    os.environ.update(before)


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def _handlers() -> dict[int, Any]:
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return {number: handler for number, handler in handlers.items() if handler is not None}


def _set_handlers(before: Mapping[int, Any]) -> None:
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _loggers() -> dict[logging.Logger, tuple[Any, ...]]:
    known = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    loggers = [one for one in known if isinstance(one, logging.Logger)]
    return {one: (one.level, list(one.handlers), one.disabled, one.propagate) for one in loggers}


def _set_loggers(before: Mapping[logging.Logger, tuple[Any, ...]]) -> None:
    for logger, (level, handlers, disabled, propagate) in before.items():
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.disabled, logger.propagate = disabled, propagate


def _lists() -> tuple[list[str], ...]:
    return list(sys.path), list(sys.argv)


def _set_lists(before: tuple[list[str], ...]) -> None:
    sys.path[:], sys.argv[:] = before


def _streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr, sys.excepthook


def _set_streams(before: tuple[Any, ...]) -> None:
    *streams, sys.excepthook = before
    sys.stdin, sys.stdout, sys.stderr = map(_opened, streams, (0, 1, 2), ("r", "w", "w"))


def _opened(stream: Any, descriptor: int, mode: str) -> Any:
    """A standard stream, or another one in its place if a trial has closed it."""
    if stream is None or not stream.closed:
        return stream
    return open(descriptor, mode, encoding=stream.encoding, errors=stream.errors, closefd=False)


def _descriptors() -> dict[int, int]:
    """Copies of the descriptors of the standard streams, by their number; without those that the process does not have."""
    copies = {}
    for number in (0, 1, 2):
        with suppress(OSError):
            copies[number] = os.dup(number)
    return copies


def _set_descriptors(before: Mapping[int, int]) -> None:
    for number, copy in before.items():
        os.dup2(copy, number)
        os.close(copy)


def _limits() -> dict[int, tuple[int, int]]:
    """The soft and hard limits of the process, such as those of open files and processor time."""
    kinds = {value for name, value in vars(resource).items() if name.startswith("RLIMIT_")}
    return {kind: resource.getrlimit(kind) for kind in kinds}


def _set_limits(before: Mapping[int, tuple[int, int]]) -> None:
    now = _limits()
    for kind, limits in before.items():
        if now[kind] != limits:
            resource.setrlimit(kind, limits)


def _keras() -> tuple[Any, ...] | None:
    """The global configuration of Keras; None if it has not been imported."""
    if (keras := sys.modules.get("keras")) is None:
        return None
    return keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy()


def _set_keras(before: tuple[Any, ...] | None) -> None:
    now = _keras()
    if now is None or now == before:
        return
    keras = sys.modules["keras"]
    floatx, data_format, policy = before or _keras_at_import()
    keras.config.set_floatx(floatx)
    keras.config.set_image_data_format(data_format)
    keras.config.set_dtype_policy(policy)


def _keras_at_import() -> tuple[Any, ...]:
    """What Keras read when the trial imported it; it also writes this file if there is none."""
    home = expanded(os.environ.get("KERAS_HOME") or "~/.keras")
    try:
        read = json.loads((home / "keras.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        read = {}
    floatx = read.get("floatx", "float32")
    return floatx, read.get("image_data_format", "channels_last"), floatx


def _end_runs(_before: None) -> None:
    """End the runs that MLflow's functions would go on with; `log_metric`, for example, starts one and does not end it."""
    if (mlflow := sys.modules.get("mlflow")) is None:
        return
    try:
        while mlflow.active_run() is not None:
            mlflow.end_run()
    except Exception as error:  # noqa: BLE001 - MLflow's, of a store that is away; the trial has ended anyway
        log.warning("A run of MLflow that a trial has left open could not be ended: %s", error)


def _seed_anew() -> None:
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()


_STATES: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (os.getcwd, os.chdir),
    (lambda: dict(os.environ), _set_environment),
    (_handlers, _set_handlers),
    (lambda: locale.setlocale(locale.LC_ALL), lambda before: locale.setlocale(locale.LC_ALL, before)),
    (_umask, os.umask),
    (_lists, _set_lists),
    (_streams, _set_streams),
    (_descriptors, _set_descriptors),  # restored before the streams that use them
    (_limits, _set_limits),
    (_loggers, _set_loggers),
    (lambda: logging.root.manager.disable, logging.disable),
    (gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (socket.getdefaulttimeout, socket.setdefaulttimeout),
    (_keras, _set_keras),
    (mlflow_api.chosen, mlflow_api.choose),
    (lambda: None, _end_runs),  # first, while MLflow knows where they are
)
