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
from typing import Any, Self

from flowersweep import errors
from flowersweep.api.screen import Progress, progress

REQUEST, OUTCOME = "request.json", "outcome.json"
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
        KeyboardInterrupt: This process was interrupted; the command ended as after Ctrl-C.
    """
    with tempfile.TemporaryDirectory(prefix="flowersweep-") as name, progress() as shown:
        folder = Path(name)
        request = {"arguments": list(arguments), "caller": os.getpid()}
        (folder / REQUEST).write_text(json.dumps(request), encoding="utf-8")
        variables = {**shown.environment(os.environ), **(environment or {})}
        with _Streams(shown, tells=tells) as streams, _started(folder, variables, streams) as process:
            interrupted = _awaited(process, streams)
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
        # Not of a class of its own: Python ends with the exit code of a signal after exactly this one.
        raise KeyboardInterrupt(outcome.get("interrupted", "interrupted by SIGINT."))
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
    folder: Path, environment: Mapping[str, str], streams: "_Streams"
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has ended when the block has, whatever happens in it."""
    path = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - sys.path holds strings
    # A separate session: a kernel and a terminal interrupt whole groups of processes, and twice means at once.
    process = subprocess.Popen(  # noqa: S603 - this interpreter and this package
        [sys.executable, "-c", _BOOTSTRAP.format(path=path, folder=str(folder))],
        stdin=subprocess.DEVNULL,
        stdout=streams.stdout,
        stderr=streams.stderr,
        # It keeps the ends from which nobody reads when this process has been killed: otherwise it would fail before it ends.
        pass_fds=streams.read_ends,
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
    """What a process prints, shown by the thread that waits for it: a notebook assigns output to cells by threads.

    Attributes:
        stdout: Its standard output, for `Popen`.
        stderr: Its standard error.
        read_ends: The descriptors from which this process reads.
    """

    def __init__(self, shown: Progress, *, tells: bool) -> None:
        self._selector = selectors.DefaultSelector()
        self._write_ends: list[int] = []
        self.read_ends: list[int] = []
        self.stdout = self._pipe(sys.stdout.write) if tells else subprocess.DEVNULL
        self.stderr = None if shown.inherits else self._pipe(shown.show)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for end in (*self.read_ends, *self._write_ends):
            os.close(end)

    def _pipe(self, show: Callable[[str], object]) -> int:
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        self.read_ends.append(read_end)
        self._write_ends.append(write_end)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._selector.register(read_end, selectors.EVENT_READ, (decoder, show))
        return write_end

    def look(self, seconds: float) -> bool:
        """Show what has been printed; wait for it for at most this time; return whether there was something."""
        if not self.read_ends:
            time.sleep(seconds)
            return False
        found = self._selector.select(seconds)
        for key, _ in found:
            decoder, show = key.data
            show(decoder.decode(os.read(key.fd, 1 << 16)))
        return bool(found)
