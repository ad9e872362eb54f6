"""Machines on one computer that share nothing but a network: namespaces with own addresses, host names and processes.

Needs Linux, root, and the commands `ip`, `unshare` and `nsenter`. The network has no connection to any other one.
"""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "fsweep"
_SWITCH = "switch"
_IP = shutil.which("ip") or "ip"
_COMMANDS = ("ip", "unshare", "nsenter", "setpriv", "mount")
# What a machine does when it is switched on, and until it is switched off: its disk is a folder, its boot its own.
_BOOT = """
mount --bind "$1/tmp" /tmp
mount --bind "$1/boot_id" /proc/sys/kernel/random/boot_id
hostname "$2"
shift 2
while [ $# -gt 0 ]; do mount --bind "$1" "$2"; shift 2; done
echo up
while :; do sleep 1000 & wait $!; done
"""


def refusal() -> str:
    """Why there can be no machines here, in one sentence; empty if there can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "Network namespaces need Linux and root; start this as root, for example with sudo."
    missing = [name for name in _COMMANDS if shutil.which(name) is None]
    return (
        f"These commands are missing: {', '.join(missing)} (packages iproute2 and util-linux)."
        if missing
        else ""
    )


class Machine:
    """A machine: from `network`; it is on until `switch_off`.

    Args:
        name: A letter, for its namespaces.
        host_name: As it calls itself; several machines may have the same.
        address: In the network.
        folder: Its disk; its /tmp is in there.
        mounts: Other folders and files, and where it sees them.

    Attributes:
        name: The letter.
        host_name: As above.
        address: As above.
        folder: As above.
    """

    def __init__(
        self, name: str, host_name: str, address: str, folder: Path, mounts: Mapping[Path, Path]
    ) -> None:
        self.name, self.host_name, self.address, self.folder = name, host_name, address, folder
        (folder / "tmp").mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        (folder / "boot_id").write_text(f"{uuid.uuid4()}\n", encoding="ascii")
        _ip("netns", "add", _space(name))
        _ip(
            "link",
            "add",
            _port(name),
            "netns",
            _space(_SWITCH),
            "type",
            "veth",
            "peer",
            "eth0",
            "netns",
            _space(name),
        )
        _inside(_SWITCH, "link", "set", _port(name), "master", "br0", "up")
        _inside(name, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _inside(name, "link", "set", device, "up")
        pairs = [str(path) for pair in mounts.items() for path in pair]
        apart = ["unshare", "--uts", "--ipc", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
        # It ends with this process, however this process ends.
        command = ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", _space(name), *apart]
        self._outside = subprocess.Popen(
            [*command, "sh", "-ec", _BOOT, "boot", str(folder), host_name, *pairs],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(folder / "boot.log").open("wb"),
            start_new_session=True,
        )
        if self._outside.stdout is None or self._outside.stdout.readline() != b"up\n":
            sys.exit(f"Machine {name} did not start: {(folder / 'boot.log').read_text()}")
        children = Path(f"/proc/{self._outside.pid}/task/{self._outside.pid}/children").read_text(
            encoding="ascii"
        )
        self._first = int(children.split()[0])

    def start(
        self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        """Start a command on this machine.

        Args:
            command: The command.
            log: What it prints is added to this file.
            environment: All variables.
        """
        enter = ["nsenter", "--target", str(self._first), "--net", "--uts", "--ipc", "--pid", "--mount"]
        with log.open("ab") as file:
            return subprocess.Popen(
                [*enter, *map(str, command)],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd="/",
                start_new_session=True,
            )

    def end(self, process: "subprocess.Popen[bytes]", number: int) -> None:
        """Send a signal to a command that was started here, with the processes of its group if it kills, and wait for its end."""
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            for child in _children(process.pid):
                os.kill(child, number)
        process.wait(60)

    def unplug(self) -> None:
        """Cut it off: nothing reaches it, and nothing it sends arrives."""
        _inside(_SWITCH, "link", "set", _port(self.name), "down")

    def plug_in(self) -> None:
        """Connect it again."""
        _inside(_SWITCH, "link", "set", _port(self.name), "up")

    def switch_off(self) -> None:
        """Kill all its processes at once."""
        with suppress(ProcessLookupError):
            os.kill(self._first, signal.SIGKILL)
        self._outside.wait(60)


@contextmanager
def network() -> Iterator[list[Machine]]:
    """A switch, and a list of machines that are switched off and removed at the end of the block."""
    _remove_left()
    machines: list[Machine] = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _ip("netns", "add", _space(_SWITCH))
        _inside(_SWITCH, "link", "add", "br0", "type", "bridge")
        _inside(_SWITCH, "link", "set", "br0", "up")
        yield machines
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for machine in machines:
            machine.switch_off()
        for space in _spaces():
            if space.startswith(f"{_PREFIX}-{os.getpid()}-"):
                _ip("netns", "delete", space)


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


def _remove_left() -> None:
    """Remove what a killed process has left."""
    for space in _spaces():
        owner = space.removeprefix(f"{_PREFIX}-").partition("-")[0]
        if space.startswith(f"{_PREFIX}-") and not Path(f"/proc/{owner}").exists():
            _ip("netns", "delete", space)


def _spaces() -> list[str]:
    listed = subprocess.run([_IP, "netns", "list"], check=True, capture_output=True, text=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def _space(name: str) -> str:
    return f"{_PREFIX}-{os.getpid()}-{name}"


def _port(name: str) -> str:
    return f"port-{name}"


def _inside(name: str, *arguments: str) -> None:
    _ip("-netns", _space(name), *arguments)


def _ip(*arguments: str) -> None:
    subprocess.run([_IP, *arguments], check=True)
