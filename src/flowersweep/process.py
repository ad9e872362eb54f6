"""Which process a run belongs to, and whether that process still lives: a process id alone is reused."""

import functools
import hashlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

HOST_TAG = "flowersweep.host"
MACHINE_TAG = "flowersweep.machine"
PID_TAG = "flowersweep.pid"
START_TAG = "flowersweep.process_start"

_PROC = Path("/proc")
_ENDED = "ended"
_UNKNOWN = "-"
# Linux gives the processes that are in no container always the same name.
_OF_THE_MACHINE = "pid:[4026531836]"
_MACHINE_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")


def identity() -> dict[str, str]:
    """Return the tags that name this process: its machine, its id, and when it started."""
    return {
        HOST_TAG: socket.gethostname(),
        MACHINE_TAG: _machine(),
        PID_TAG: str(os.getpid()),
        START_TAG: start_of(os.getpid()) or "",
    }


def is_dead(tags: Mapping[str, str], seen: float) -> bool:
    """Tell whether the process named by the tags certainly lives no more.

    False whenever that cannot be known: it belongs to another machine or container, its tags are incomplete, or
    this platform does not tell. Two machines may have one name, and those that were copied even one identity: what
    gave a sign of life since this machine was started was not ended by that start.

    Args:
        tags: `identity()` of the process.
        seen: When it gave its last sign of life, in seconds since the epoch.
    """
    then, pid = tags.get(START_TAG, ""), tags.get(PID_TAG, "")
    if tags.get(HOST_TAG) != socket.gethostname() or not then or not pid.isdigit():
        return False
    boot, namespace, _ = then.split(" ", 2)
    here_boot, here_namespace = _boot(), _namespace()
    is_same_machine = tags.get(MACHINE_TAG, "") == _machine() != ""
    if boot != here_boot:  # the machine was started anew since, or it is another one
        # Containers made of one image may share a name and an identity, on several machines.
        in_no_container = namespace == here_namespace == _OF_THE_MACHINE
        return is_same_machine and in_no_container and seen < time.time() - _seconds_since_boot()
    if namespace != here_namespace or (boot == _UNKNOWN and not is_same_machine):
        return False
    now = start_of(int(pid))
    return now != then and (now is not None or not _exists(int(pid)))


def start_of(pid: int) -> str | None:
    """Return when a process started, as "BOOT NAMESPACE TIME", or None if that cannot be seen.

    TIME is in clock ticks since boot on Linux, which no change of the clock moves, and a date elsewhere. It is "ended" for
    a zombie, which has ended but was not yet waited for.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            is_over = process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
            started = _ENDED if is_over else _time(process.create_time())
    except psutil.ZombieProcess:
        started = _ENDED
    except (psutil.Error, OverflowError):  # there is none, it is hidden, or there cannot be such an id
        return None
    return f"{_boot()} {_namespace()} {started}"


def _time(created: float) -> str:
    if psutil.LINUX:
        # What psutil has made of the ticks, by the same reading of the clock.
        return str(round((created - psutil.boot_time()) * os.sysconf("SC_CLK_TCK")))
    return " ".join(time.asctime(time.localtime(created)).split())  # as `ps -o lstart=` writes it


def _exists(pid: int) -> bool:
    """Tell whether there is such a process, even one of another user that is hidden from /proc."""
    try:
        os.kill(pid, 0)  # sends nothing
    except (ProcessLookupError, OverflowError):  # it may have been written by anybody
        return False
    except PermissionError:
        pass
    return True


def _boot() -> str:
    """Tell one start of the machine from another; "-" where that is unknown."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _UNKNOWN


def _namespace() -> str:
    """Tell one container's process ids from another's on the same host; "-" where that is unknown."""
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return _UNKNOWN


def _seconds_since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # boots are told apart on Linux only, which has this clock


@functools.cache
def _machine() -> str:
    """Tell one installation of an operating system from another; empty where that is unknown.

    A digest, as the identity itself is not for others to see (`man 5 machine-id`).
    """
    found = _machine_from_files() or _machine_from_ioreg()
    return hashlib.sha256(f"flowersweep {found}".encode()).hexdigest()[:16] if found else ""


def _machine_from_files() -> str | None:
    for name in _MACHINE_FILES:
        try:
            text = Path(name).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        if re.fullmatch("[0-9a-f]{32}", text):  # it is empty, or says "uninitialized", in images
            return text
    return None


def _machine_from_ioreg() -> str | None:
    """The way taken on macOS."""
    command = ["ioreg", "-rd1", "-c", "IOPlatformExpertDevice"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (a constant)
    except OSError:
        return None
    found = re.search(r'"IOPlatformUUID" = "([^"]+)"', shown.stdout)
    return found[1] if found else None
