"""Running the command line in a process of its own: its outcome, its output, its errors, and interrupting it."""

import codecs
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flowersweep import errors
from flowersweep.api.child import OUTCOME, REQUEST
from flowersweep.api.screen import Progress, progress
from flowersweep.interrupt import Interrupted

_LOOK_SECONDS = 0.2
# For the running trials to be put back; a locked storage is not waited for.
_STOP_SECONDS = 60.0

_BOOTSTRAP = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: os._exit(130))
sys.path[:] = {path!r}
from flowersweep.api.child import main
main({folder!r})
"""


class _Traceback(Exception):  # noqa: N818 (it is the cause of an error, and only shown)
    """The traceback of another process, which is shown as the cause of an error."""

    def __str__(self) -> str:
        return f"\n{super().__str__()}"


def run(
    arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, tells: bool = True
) -> dict[str, Any]:
    """Run the command with these arguments, show its progress, and return its outcome.

    Args:
        arguments: As on the command line.
        environment: Further environment variables.
        tells: Whether what it prints on standard output is shown, too.

    Raises:
        FlowersweepError: What the command failed with.
        Interrupted: This process was interrupted; the command ended as after Ctrl-C.
    """
    with tempfile.TemporaryDirectory(prefix="flowersweep-") as name, progress() as shown:
        folder = Path(name)
        request = {"arguments": list(arguments), "caller": os.getpid()}
        (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        variables = {**shown.environment(os.environ), **(environment or {})}
        with _started(folder, variables, shown, tells=tells) as process:
            interrupted = _awaited(process, _Streams(process, shown))
        outcome = _read(folder)
    stopped = errors.SweepStoppedError if "--multirun" in arguments else errors.TrainingError
    return _checked(outcome, process.returncode, interrupted=interrupted, stopped=stopped)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / OUTCOME
    outcome: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return outcome


def _checked(
    outcome: dict[str, Any], code: int, *, interrupted: bool, stopped: type[errors.FlowersweepError]
) -> dict[str, Any]:
    """The outcome of a process, unless it did not succeed.

    Args:
        outcome: What it wrote; empty if it was killed.
        code: Its exit code.
        interrupted: Whether this process was interrupted.
        stopped: The exception if somebody else stopped it.
    """
    if interrupted:
        interruption = Interrupted(signal.SIGINT)
        interruption.args = (outcome.get("interrupted", f"{interruption}."),)
        raise interruption
    if "interrupted" in outcome:
        raise stopped(outcome["interrupted"])
    if "error" in outcome:
        raise _error(outcome["error"])
    if not outcome:
        ended = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        raise errors.TrainingError(
            f"The process {ended}, perhaps because memory is too low; the same call goes on where it was."
        )
    return outcome


def _error(told: Mapping[str, str]) -> errors.FlowersweepError:
    error: errors.FlowersweepError = getattr(errors, told["kind"])(told["text"])
    if told["traceback"]:
        error.__cause__ = _Traceback(told["traceback"])
    return error


@contextmanager
def _started(
    folder: Path, environment: Mapping[str, str], shown: Progress, *, tells: bool
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has ended when the block has, whatever happens in it."""
    path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - sys.path holds strings
    # A separate session: a kernel and a terminal interrupt whole groups of processes, and twice means at once.
    process = subprocess.Popen(  # noqa: S603 - this interpreter and this package
        [sys.executable, "-c", _BOOTSTRAP.format(path=path, folder=str(folder))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if tells else subprocess.DEVNULL,
        stderr=None if shown.inherits else subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _awaited(process: subprocess.Popen[bytes], streams: "_Streams") -> bool:
    """Wait for the end of the process; return whether it was interrupted. Each interrupt is passed on to it."""
    interrupted = False
    while True:
        try:
            while process.poll() is None:
                streams.look(_LOOK_SECONDS)
            while streams.look(0):
                pass
            return interrupted  # noqa: TRY300 - an `else` would not be covered by the handler
        except KeyboardInterrupt:
            interrupted = True
            process.send_signal(signal.SIGINT)


class _Streams:
    """What a process prints, shown by the thread that waits for it: a notebook assigns output to cells by threads."""

    def __init__(self, process: subprocess.Popen[bytes], shown: Progress) -> None:
        self._selector = selectors.DefaultSelector()
        self._add(process.stdout, sys.stdout.write)
        self._add(process.stderr, shown.show)

    def _add(self, pipe: Any, show: Callable[[str], object]) -> None:
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            self._selector.register(pipe, selectors.EVENT_READ, (decoder, show))

    def look(self, seconds: float) -> bool:
        """Show what has been printed; wait for it for at most this time; return whether there was something."""
        found = False
        if not self._selector.get_map():
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds) if self._selector.get_map() else ():
            decoder, show = key.data
            data = os.read(key.fd, 1 << 16)
            if not data:
                self._selector.unregister(key.fileobj)
            elif text := decoder.decode(data):
                found = True
                show(text)
        return found
