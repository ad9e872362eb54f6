"""Tests of flowersweep.process, on real processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flowersweep import process


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """A living process of ours."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as started:
        yield started
        started.kill()


def tags_of(pid: int) -> dict[str, str]:
    """Return the tags that the process itself would have set."""
    return {**process.identity(), process.PID_TAG: str(pid), process.START_TAG: process.start_of(pid) or ""}


def test_this_process_lives() -> None:
    """A process is never dead to itself, and its identity is the same each time."""
    assert process.identity() == process.identity()
    assert not process.is_dead(process.identity(), time.time())


def test_a_killed_process_is_dead_before_and_after_it_is_waited_for(child: "subprocess.Popen[bytes]") -> None:
    """A living child is alive; killed, it is dead as a zombie and when it is gone."""
    tags = tags_of(child.pid)
    assert not process.is_dead(tags, time.time())
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.is_dead(tags, time.time())
    child.wait()
    assert process.is_dead(tags, time.time())


def test_a_reused_process_id_is_noticed(child: "subprocess.Popen[bytes]") -> None:
    """The id of a living process with another start time names a dead one."""
    boot, namespace, ticks = tags_of(child.pid)[process.START_TAG].split(" ", 2)
    earlier = f"{boot} {namespace} {int(ticks) - 1}"
    assert process.is_dead({**tags_of(child.pid), process.START_TAG: earlier}, time.time())


def before_a_restart(monkeypatch: pytest.MonkeyPatch, **changes: str) -> dict[str, str]:
    """The tags of a process of this machine, in no container, from before it was started the last time."""
    monkeypatch.setattr(process, "_namespace", lambda: process._OF_THE_MACHINE)
    monkeypatch.setattr(process, "_machine", lambda: "0123456789abcdef")
    start = f"another-boot {process._OF_THE_MACHINE} 4711"
    return {**process.identity(), process.START_TAG: start, **changes}


class TestAfterARestart:
    def test_what_ran_before_is_dead(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same machine by name and identity, of another boot, left nothing alive."""
        tags = before_a_restart(monkeypatch)
        assert process.is_dead(tags, time.time() - process._seconds_since_boot() - 1)

    @pytest.mark.parametrize(
        "changes",
        [
            {process.MACHINE_TAG: "fedcba9876543210"},
            {process.MACHINE_TAG: ""},
            {process.HOST_TAG: "another-host"},
            {process.START_TAG: "another-boot pid:[4026532201] 4711"},
        ],
        ids=["another machine of one name", "written by an older version", "renamed", "in a container"],
    )
    def test_what_may_be_elsewhere_is_not_dead(
        self, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
    ) -> None:
        """Of another machine with the same name, of one that is not named, and of a container nothing is known."""
        tags = before_a_restart(monkeypatch, **changes)
        assert not process.is_dead(tags, 0.0)

    def test_an_old_version_left_no_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tags without a machine are left to heartbeats."""
        tags = before_a_restart(monkeypatch)
        del tags[process.MACHINE_TAG]
        assert not process.is_dead(tags, 0.0)

    def test_a_copied_machine_gives_signs_of_life(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two copies of one machine have one name and identity; what lived after this one's start is the other's."""
        assert not process.is_dead(before_a_restart(monkeypatch), time.time())

    def test_containers_of_one_image_are_told_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a container with the image's machine-id and another boot, nothing is known of the other."""
        tags = before_a_restart(monkeypatch, **{process.START_TAG: "another-boot pid:[4026532201] 4711"})
        monkeypatch.setattr(process, "_namespace", lambda: "pid:[4026532201]")
        assert not process.is_dead(tags, 0.0)


def test_without_a_boot_only_the_same_machine_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where starts of the machine cannot be told apart, as on macOS, a process that is gone here may be elsewhere."""
    monkeypatch.setattr(process, "_boot", lambda: process._UNKNOWN)
    monkeypatch.setattr(process, "_machine", lambda: "0123456789abcdef")
    gone = {**process.identity(), process.PID_TAG: "999999999"}
    assert process.is_dead(gone, time.time())
    assert not process.is_dead({**gone, process.MACHINE_TAG: "fedcba9876543210"}, time.time())


def test_a_machine_is_named_by_a_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The identity itself is not shown; images without one have none."""
    monkeypatch.setattr(process, "_machine_from_ioreg", lambda: None)
    monkeypatch.setattr(process, "_MACHINE_FILES", (str(tmp_path / "none"), str(tmp_path / "id")))
    named = process._machine.__wrapped__
    assert not named()
    for content in ("", "uninitialized\n"):
        (tmp_path / "id").write_text(content)
        assert not named()
    (tmp_path / "id").write_text("0123456789abcdef0123456789abcdef\n")
    assert re.fullmatch("[0-9a-f]{16}", named())
    assert named() not in "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "change",
    [
        {process.PID_TAG: "not a number"},
        {process.START_TAG: ""},
    ],
)
def test_what_cannot_be_known_is_not_dead(change: dict[str, str]) -> None:
    """A process with incomplete tags is left alone, even if the id is free here."""
    tags = {**process.identity(), process.PID_TAG: "999999999", **change}
    assert not process.is_dead(tags, time.time())


@pytest.mark.skipif(process._boot() == process._UNKNOWN, reason="starts of this machine cannot be told apart")
def test_a_renamed_machine_knows_its_processes(child: "subprocess.Popen[bytes]") -> None:
    """A laptop that gets another name in another network sees which of its processes live, until it is restarted."""
    tags = {**tags_of(child.pid), process.HOST_TAG: "its-earlier-name"}
    assert not process.is_dead(tags, time.time())
    child.kill()
    child.wait()
    assert process.is_dead(tags, time.time())


def test_another_containers_process_is_not_dead() -> None:
    """Ids of another process namespace on this host say nothing here."""
    boot, _, ticks = process.identity()[process.START_TAG].split(" ", 2)
    elsewhere = {process.PID_TAG: "999999999", process.START_TAG: f"{boot} pid:[1] {ticks}"}
    assert not process.is_dead({**process.identity(), **elsewhere}, time.time())


@pytest.mark.skipif(sys.platform != "linux", reason="the 22nd field of /proc/PID/stat")
def test_the_start_is_what_earlier_versions_wrote(child: "subprocess.Popen[bytes]") -> None:
    """In clock ticks since boot, to the last one: what runs of earlier versions have in their tags."""
    for pid in (child.pid, os.getpid(), 1):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        assert (process.start_of(pid) or "").split(" ", 2)[2] == fields[19]


def test_a_changed_clock_does_not_move_the_start(
    child: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine whose clock is set an hour back still knows its processes."""
    tags, created, booted = tags_of(child.pid), psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() - 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) - 3600)
    assert psutil.Process(child.pid).create_time() == created(psutil.Process(child.pid)) - 3600
    if psutil.LINUX:
        assert process.start_of(child.pid) == tags[process.START_TAG]
        assert not process.is_dead(tags, time.time())


def test_elsewhere_the_start_is_the_same_in_every_time_zone(
    child: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone who travels with a training on a laptop finds it alive."""
    monkeypatch.setattr(psutil, "LINUX", False)
    starts = set()
    for zone in ("America/New_York", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        starts.add((process.start_of(child.pid) or "").split(" ", 2)[2])
    monkeypatch.delenv("TZ")
    time.tzset()

    assert len(starts) == 1
    assert int(starts.pop()) == pytest.approx(psutil.Process(child.pid).create_time(), abs=1)


@pytest.mark.parametrize("pid", [999999999, 2**40])
def test_what_is_not_there_has_no_start(pid: int) -> None:
    """Not even an id that no system has."""
    assert process.start_of(pid) is None


def test_a_hidden_process_is_not_dead(
    child: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where /proc hides the processes of others, one that can be signalled exists."""

    def hidden(pid: int) -> None:
        raise psutil.NoSuchProcess(pid)

    tags = tags_of(child.pid)
    monkeypatch.setattr(psutil, "Process", hidden)
    assert process.start_of(child.pid) is None
    assert not process.is_dead(tags, time.time())


def test_a_process_of_another_user_exists() -> None:
    """Process 1 exists, whoever owns it; an id that is too large does not."""
    assert process._exists(1)
    assert not process._exists(999999999)
    assert not process._exists(2**40)
