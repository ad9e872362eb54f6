"""Suppress what C++ code writes to standard error, which bypasses Python's sys.stderr."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def standard_error_held() -> Iterator[None]:
    """Within this block nothing reaches standard error; if the block fails, everything is written after it."""
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
