"""Tests of flowersweep.tracking.process, on real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from flowersweep.tracking import process


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
    assert not process.is_dead(process.identity())


def test_a_killed_process_is_dead_before_and_after_it_is_waited_for(child: "subprocess.Popen[bytes]") -> None:
    """A living child is alive; killed, it is dead as a zombie and when it is gone."""
    tags = tags_of(child.pid)
    assert not process.is_dead(tags)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.is_dead(tags)
    child.wait()
    assert process.is_dead(tags)


def test_a_reused_process_id_is_noticed(child: "subprocess.Popen[bytes]") -> None:
    """The id of a living process with another start time names a dead one."""
    boot, namespace, time = tags_of(child.pid)[process.START_TAG].split(" ", 2)
    earlier = f"{boot} {namespace} {int(time) - 1}"
    assert process.is_dead({**tags_of(child.pid), process.START_TAG: earlier})


def test_processes_from_before_a_restart_are_dead() -> None:
    """Another boot of the same machine left nothing alive."""
    _, rest = process.identity()[process.START_TAG].split(" ", 1)
    assert process.is_dead({**process.identity(), process.START_TAG: f"another-boot {rest}"})


@pytest.mark.parametrize(
    "change",
    [
        {process.HOST_TAG: "another-host"},
        {process.HOST_TAG: ""},
        {process.PID_TAG: "not a number"},
        {process.START_TAG: ""},
    ],
)
def test_what_cannot_be_known_is_not_dead(change: dict[str, str]) -> None:
    """Another host's process and incomplete tags are left alone, even if the id is free here."""
    tags = {**process.identity(), process.PID_TAG: "999999999", **change}
    assert not process.is_dead(tags)


def test_another_containers_process_is_not_dead() -> None:
    """Ids of another process namespace on this host say nothing here."""
    boot, _, time = process.identity()[process.START_TAG].split(" ", 2)
    elsewhere = {process.PID_TAG: "999999999", process.START_TAG: f"{boot} pid:[1] {time}"}
    assert not process.is_dead({**process.identity(), **elsewhere})


def test_ps_tells_the_start_where_there_is_no_proc(child: "subprocess.Popen[bytes]") -> None:
    """The way taken on macOS gives one text for one process and none for a process that is not there."""
    first = process._start_from_ps(child.pid)
    assert first
    assert first == process._start_from_ps(child.pid)
    assert process._start_from_ps(999999999) is None


def test_a_process_of_another_user_exists() -> None:
    """Process 1 exists, whoever owns it; an id that is too large does not."""
    assert process._exists(1)
    assert not process._exists(999999999)
