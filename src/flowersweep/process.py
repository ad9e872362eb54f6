"""Which process a run belongs to, and whether that process is still alive: process ids alone are reused."""

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
# On Linux, processes outside of containers always have the same name.
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
    """Tell whether the process named by the tags has certainly ended.

    False whenever that cannot be known: it belongs to another machine or container, its tags are incomplete, or
    this platform does not provide it. Two machines may have the same name, and copied ones even the same identity: a
    process that gave a sign of life after this machine was started was not ended by that start.

    Args:
        tags: `identity()` of the process.
        seen: Time of its last sign of life, in seconds since the epoch.
    """
    then, pid = tags.get(START_TAG, ""), tags.get(PID_TAG, "")
    if not then or not pid.isdigit():
        return False
    boot, namespace, _ = then.split(" ", 2)
    here_boot, here_namespace = _boot(), _namespace()
    is_same_machine = tags.get(MACHINE_TAG, "") == _machine() != ""
    # A known boot is that of one machine, whatever its name is now: a laptop gets another one in another network.
    is_same_boot = boot == here_boot != _UNKNOWN
    if not is_same_boot and tags.get(HOST_TAG) != socket.gethostname():
        return False
    if boot != here_boot:  # the machine was restarted since, or it is another one
        # Containers of the same image may share a name and an identity, on several machines.
        in_no_container = namespace == here_namespace == _OF_THE_MACHINE
        return is_same_machine and in_no_container and seen < time.time() - _seconds_since_boot()
    if namespace != here_namespace or (boot == _UNKNOWN and not is_same_machine):
        return False
    now = start_of(int(pid))
    return now != then and (now is not None or not _exists(int(pid)))


def start_of(pid: int) -> str | None:
    """Return when a process started, as "BOOT NAMESPACE TIME", or None if that is not visible.

    TIME is in clock ticks since boot on Linux, which do not depend on the clock, and in seconds since the epoch elsewhere,
    which do not depend on the time zone. It is "ended" for a zombie, which has ended but was not yet waited for.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            is_over = process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
            started = _ENDED if is_over else _time(process.create_time())
    except psutil.ZombieProcess:
        started = _ENDED
    except (psutil.Error, OverflowError):  # no such process, it is hidden, or the id is out of range
        return None
    return f"{_boot()} {_namespace()} {started}"


def _time(created: float) -> str:
    if psutil.LINUX:
        # psutil's conversion of the ticks, with the same reading of the clock.
        return str(round((created - psutil.boot_time()) * os.sysconf("SC_CLK_TCK")))
    return str(round(created))


def _exists(pid: int) -> bool:
    """Tell whether a process exists, even one of another user that is hidden from /proc."""
    try:
        os.kill(pid, 0)  # sends no signal
    except (ProcessLookupError, OverflowError):  # the id comes from a store, which others can write to
        return False
    except PermissionError:
        pass
    return True


def _boot() -> str:
    """Identify one start of the machine; "-" where that is unknown."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _UNKNOWN


def _namespace() -> str:
    """Identify the container, whose process ids may also exist in others on the same host; "-" where that is unknown."""
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return _UNKNOWN


def _seconds_since_boot() -> float:
    return time.clock_gettime(
        time.CLOCK_BOOTTIME
    )  # boots are distinguished only on Linux, which has this clock


@functools.cache
def _machine() -> str:
    """Identify the installation of the operating system; empty where that is unknown.

    A digest, because the identity itself is confidential (`man 5 machine-id`).
    """
    found = _machine_from_files() or _machine_from_ioreg()
    return hashlib.sha256(f"flowersweep {found}".encode()).hexdigest()[:16] if found else ""


def _machine_from_files() -> str | None:
    for name in _MACHINE_FILES:
        try:
            text = Path(name).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        if re.fullmatch("[0-9a-f]{32}", text):  # in images it is empty or "uninitialized"
            return text
    return None


def _machine_from_ioreg() -> str | None:
    """The identity on macOS."""
    command = ["ioreg", "-rd1", "-c", "IOPlatformExpertDevice"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (a constant)
    except OSError:
        return None
    found = re.search(r'"IOPlatformUUID" = "([^"]+)"', shown.stdout)
    return found[1] if found else None
