"""Streams whose reader has left."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def unread() -> Iterator[TextIO]:
    """A stream to a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "w", encoding="utf-8") as stream:  # noqa: PTH123 (a descriptor)
        yield stream
