"""Programs of Python that begin with TensorFlow and MLflow imported, which takes a processor several seconds.

Within `warm_programs()`, `subprocess` and joblib start them as forks of a process that has imported these. Nothing else differs:
they are children of their caller with the descriptors, environment and folder that it gives them, and start programs
as forks, too. Tests of starting processes themselves go without it.
"""

import _posixsubprocess
import atexit
import ctypes
import fcntl
import gc
import os
import pickle
import platform
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_PRELOAD = (
    "keras, mlflow.keras, mlflow.pyfunc, mlflow.store.tracking.sqlalchemy_store, optuna, plotly, matplotlib.pyplot, flowersweep.cli, flowersweep.hydra_app, "
    "flowersweep.training.run, flowersweep.sweep.run, flowersweep.sweep.workers.trial_server"
)
_START = "import sys; sys.path[:] = {path!r}; import warm; import {preload}; warm.be_the_source({descriptor})"
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Descriptors are received above those that a program wants to have.
_HIGH = 400
_PLACES = ((subprocess, "_fork_exec"), (_posixsubprocess, "fork_exec"))
_IS_LINUX = platform.system() == "Linux"  # elsewhere programs start as usual
# The one function through which all of them start; joblib calls it itself.
_fork_exec = _posixsubprocess.fork_exec


def _told(option: int, value: int) -> None:
    """Tell the kernel something about this process."""
    ctypes.CDLL(None).prctl(option, value)


@dataclass(frozen=True)
class _Program:
    """What to run, and where.

    Attributes:
        arguments: Those of the interpreter.
        folder: Where it runs.
        environment: Its variables.
        descriptors: The number that each received descriptor gets.
        session: Whether it has one of its own.
        parent: The process whose child it is.
    """

    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    descriptors: Sequence[int]
    session: bool
    parent: int


class _Source:
    """This process's end of the socket to the one that is forked."""

    current: "_Source | None" = None

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.owner = os.getpid()

    def fork(self, program: _Program, descriptors: Sequence[int]) -> int:
        """The id of a process that runs a program and is a child of this one."""
        with self._lock:
            _told(_SET_CHILD_SUBREAPER, 1)  # its parent ends at once, and this process takes that one's place
            try:
                socket.send_fds(self._connection, [pickle.dumps(program)], list(descriptors))
                return int(self._connection.recv(64))
            finally:
                _told(_SET_CHILD_SUBREAPER, 0)


@contextmanager
def warm_programs() -> Iterator[None]:
    """Within the block, programs of this interpreter are started as forks."""
    if not _IS_LINUX:
        yield
        return
    if _Source.current is None or _Source.current.owner != os.getpid():
        _Source.current = _started()
    with pytest.MonkeyPatch.context() as patched:
        for module, name in _PLACES:
            patched.setattr(module, name, _forked)
        yield


def _started() -> _Source:
    here, there = _connected()
    with there:
        path = [entry or str(os.getcwd()) for entry in sys.path]  # noqa: PTH109 - sys.path holds strings
        start = _START.format(path=path, preload=_PRELOAD, descriptor=there.fileno())
        source = subprocess.Popen([sys.executable, "-c", start], pass_fds=[there.fileno()])
    atexit.register(source.wait)
    atexit.register(source.kill)  # before it is waited for
    return _Source(here)


def _connected() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in pair:
        one.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20
        )  # a program and its environment in one message
    return pair


def _forked(arguments: Sequence[Any], *rest: Any) -> int:
    """In place of `_posixsubprocess.fork_exec`."""
    (_, _, keep, folder, environment, stdin, _, _, stdout, _, stderr, _, errors, _, session, *_) = rest
    source, words = _Source.current, [os.fsdecode(word) for word in arguments]
    kind = words[1] if len(words) > 1 else ""
    known = (kind in {"-c", "-m"} and "resource_tracker" not in words[2]) or kind.endswith(".py")
    if source is None or source.owner != os.getpid() or words[0] != sys.executable or not known:
        return int(_fork_exec(arguments, *rest))
    given = {0: stdin, 1: stdout, 2: stderr}
    moved = {number: number if found == -1 else found for number, found in given.items()}
    moved |= {number: number for number in keep if number != errors}
    variables = os.environ if environment is None else dict(_pair(one) for one in environment)
    program = _Program(
        arguments=words[1:],
        folder=os.fsdecode(folder or os.getcwd()),  # noqa: PTH109 - it is sent as a string
        environment=dict(variables),
        descriptors=list(moved),
        session=bool(session),
        parent=os.getpid(),
    )
    return source.fork(program, list(moved.values()))


def _pair(variable: bytes) -> tuple[str, str]:
    name, _, value = os.fsdecode(variable).partition("=")
    return name, value


def be_the_source(descriptor: int) -> None:
    """Fork this process for each program that is asked for; in a fork, run the program."""
    connection = socket.socket(fileno=_high(descriptor))
    _told(_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # those for a fork wait until it is a program
    _nowhere()
    gc.freeze()  # a collection in a fork would copy all pages
    while True:
        asked, received, _, _ = socket.recv_fds(connection, 1 << 20, 64)
        if not asked:
            os._exit(0)
        program: _Program = pickle.loads(asked)  # noqa: S301 - from this process's parent
        descriptors = [_high(one) for one in received]
        if not _is_fork_of_a_fork():
            for one in descriptors:
                os.close(one)
            continue
        _adopted(program)
        connection.send(str(os.getpid()).encode())
        connection.close()
        here, connection = (socket.socket(fileno=_high(one.detach())) for one in _connected())
        if os.fork() != 0:
            connection.close()
            break
        here.close()  # this is the source of the programs that the program starts
        for one in descriptors:
            os.close(one)
        _told(_SET_PDEATHSIG, signal.SIGKILL)
    _Source.current = _Source(here)
    for module, name in _PLACES:
        setattr(module, name, _forked)
    _become(program, descriptors)


def _is_fork_of_a_fork() -> bool:
    """Fork this process; True in the fork, which is not a child of this process."""
    if (between := os.fork()) == 0:
        if os.fork() == 0:
            return True
        os._exit(0)
    os.waitpid(between, 0)
    return False


def _adopted(program: _Program) -> None:
    """Wait until the caller is the parent; what is forked from here on is in the program's session and group."""
    while os.getppid() != program.parent:
        if os.getppid() == 1:
            os._exit(1)
        time.sleep(0.001)
    if program.session:
        os.setsid()


def _become(program: _Program, descriptors: Sequence[int]) -> None:
    for number, one in zip(program.descriptors, descriptors, strict=True):
        os.dup2(one, number)
        os.close(one)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(program.environment)
    os.chdir(program.folder)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as long as the process lives
    sys.stdout = open(1, "w", closefd=False, buffering=1 if os.isatty(1) else -1)  # noqa: SIM115 - as long as the process lives
    sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115 - as above
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _end(_code_of(program.arguments))


def _code_of(arguments: Sequence[str]) -> int:
    """Run a program; its exit code, or minus the signal that it ends by."""
    try:
        _run(arguments)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
    except KeyboardInterrupt:
        traceback.print_exc()
        return -signal.SIGINT
    except BaseException:  # noqa: BLE001 - as Python does
        traceback.print_exc()
    else:
        return 0
    return 1


def _end(code: int) -> None:
    """End as Python does, but without freeing memory, which takes longer the more is imported."""
    threading._shutdown()  # type: ignore[attr-defined] # it waits for threads, as Python's own end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        signal.raise_signal(-code)
    os._exit(code & 0xFF)


def _run(arguments: Sequence[str]) -> None:
    """Run a program as Python does."""
    kind, *words = arguments
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.orig_argv = [sys.executable, *arguments]
    if kind == "-c":
        main = types.ModuleType("__main__")
        sys.modules["__main__"], sys.argv = main, ["-c", *words[1:]]
        sys.path.insert(0, "")
        exec(compile(words[0], "<string>", "exec"), main.__dict__)  # noqa: S102 - that is what `python -c` does
    elif kind == "-m":
        sys.argv = words
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [kind, *words]
        sys.path.insert(0, str(Path(kind).parent))
        runpy.run_path(kind, run_name="__main__")


def _high(descriptor: int) -> int:
    """Another number for a descriptor, above those that programs have."""
    found = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(descriptor)
    return found


def _nowhere() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
