"""Standard output and standard error: they accept every text, whether or not anybody reads it, and can be held back."""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TextIO

# Handlers of errors that refuse characters; whoever has chosen another one keeps it.
_REFUSING = {"strict", "surrogateescape"}


def prepare() -> None:
    """Let this process print every text: what was closed by the shell leads nowhere, and no character is refused."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # On its descriptor, so that no other file gets it.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 (as long as the process)
        accept_all(getattr(sys, name))


def accept_all(stream: TextIO) -> None:
    r"""Let a stream escape what its encoding does not have, as in `caf\xe9`, instead of raising an error."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors in _REFUSING:
        settle(stream)
        stream.reconfigure(errors="backslashreplace")


def settle(stream: TextIO) -> None:
    """Write what a stream holds back, if anybody reads it."""
    if not stream.closed:
        try:
            stream.flush()
        except BrokenPipeError:
            lead_nowhere(stream)


def lead_nowhere(stream: IO[str]) -> None:
    """Let a stream without a reader lead nowhere, as Python's documentation advises: also at exit no error follows."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def standard_error_held() -> Iterator[None]:
    """Within this block nothing reaches standard error, not even from C++ code; if it fails, everything is written after it."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
