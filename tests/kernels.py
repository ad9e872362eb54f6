"""A real kernel of Jupyter, whose cells a test runs, watches and interrupts."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.manager import start_new_kernel

SECONDS = 300.0


@dataclass
class Cell:
    """What a cell has shown.

    Attributes:
        error: The name and the message of its exception; None if there was none.
        streams: What it wrote on standard output and error.
        displays: The latest content of each of its outputs, by MIME type.
    """

    error: tuple[str, str] | None = None
    streams: str = ""
    displays: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its outputs as plain text."""
        return "\n".join(one.get("text/plain", "") for one in self.displays.values())

    def take(self, kind: str, content: Mapping[str, Any]) -> None:
        """Add a message of the kernel."""
        if kind == "stream":
            self.streams += content["text"]
        elif kind == "error":
            self.error = content["ename"], content["evalue"]
        elif kind in {"display_data", "update_display_data", "execute_result"}:
            name = content.get("transient", {}).get("display_id") or str(len(self.displays))
            self.displays[name] = content["data"]


class Kernel:
    """A kernel that runs cells one after another."""

    def __init__(self, manager: Any, client: Any) -> None:
        self._manager, self._client = manager, client

    def run(self, code: str, *, interrupt_at: str | None = None) -> Cell:
        """Run a cell to its end.

        Args:
            code: Its code.
            interrupt_at: A pattern; the kernel is interrupted when the cell has shown it.
        """
        cell, sent = Cell(), self._client.execute(code)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            message = self._client.get_iopub_msg(timeout=SECONDS)
            if message["parent_header"].get("msg_id") != sent:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return cell
            cell.take(kind, content)
            if interrupt_at is not None and re.search(interrupt_at, cell.text):
                interrupt_at = None
                self._manager.interrupt_kernel()
        raise AssertionError(f"The cell did not end; it has shown: {cell}")

    def children(self) -> list[str]:
        """The command lines of the processes that the kernel has started."""
        kernel = psutil.Process(self._manager.provisioner.process.pid)
        return [" ".join(child.cmdline()) for child in kernel.children(recursive=True)]


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel in a folder; it ends with the block."""
    manager, client = start_new_kernel(cwd=str(folder))
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
