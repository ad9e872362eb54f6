"""Which process a run belongs to, and whether that process still lives: a process id alone is reused."""

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

HOST_TAG = "flowersweep.host"
PID_TAG = "flowersweep.pid"
START_TAG = "flowersweep.process_start"

_PROC = Path("/proc")
_ENDED = "ended"


def identity() -> dict[str, str]:
    """Return the tags that name this process: its host, its id, and when it started."""
    return {HOST_TAG: socket.gethostname(), PID_TAG: str(os.getpid()), START_TAG: start_of(os.getpid()) or ""}


def is_dead(tags: Mapping[str, str]) -> bool:
    """Tell whether the process named by the tags certainly lives no more.

    False whenever that cannot be known: it belongs to another host or container, its tags are incomplete, or
    this platform does not tell.
    """
    then, pid = tags.get(START_TAG, ""), tags.get(PID_TAG, "")
    if tags.get(HOST_TAG) != socket.gethostname() or not then or not pid.isdigit():
        return False
    boot, namespace, _ = then.split(" ", 2)
    here_boot, here_namespace = _boot(), _namespace()
    if boot != here_boot:
        return bool(here_boot)  # the machine was started anew since
    now = start_of(int(pid))
    if namespace != here_namespace or now == then:
        return False
    return now is not None or not _exists(int(pid))


def start_of(pid: int) -> str | None:
    """Return when a process started, as "BOOT NAMESPACE TIME", or None if that cannot be seen.

    TIME is in clock ticks since boot on Linux, and the text that `ps` prints elsewhere. It is "ended" for a zombie,
    which has ended but was not yet waited for.
    """
    time = _start_from_proc(pid) if _PROC.joinpath("self", "stat").exists() else _start_from_ps(pid)
    return None if time is None else f"{_boot()} {_namespace()} {time}"


def _start_from_proc(pid: int) -> str | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return _ENDED if state in {"Z", "X"} else fields[18]  # the 22nd of `man 5 proc`


def _start_from_ps(pid: int) -> str | None:
    command = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    try:
        shown = subprocess.run(  # noqa: S603 - the command holds nothing but a number from outside
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
    except OSError:  # no `ps` here, as on Windows
        return None
    state, _, time = shown.stdout.strip().partition(" ")
    if not time:
        return None
    return _ENDED if state.startswith("Z") else " ".join(time.split())


def _exists(pid: int) -> bool:
    """Tell whether there is such a process, even one of another user that is hidden from /proc."""
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _boot() -> str:
    """Tell one start of the machine from another; "-" where that is unknown."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "-"


def _namespace() -> str:
    """Tell one container's process ids from another's on the same host; "-" where that is unknown."""
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return "-"
