"""Processors, memory, ports."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from flowersweep.doctor import machine
from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.doctor.machine import available_memory, check_machine, check_ports


def test_one_worker_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One processor and 8 GB are enough for it."""
    monkeypatch.setattr(machine, "available_processors", lambda: 1)
    monkeypatch.setattr(machine, "available_memory", lambda: 8_000_000_000)

    assert list(check_machine(1)) == [
        Finding("processors", "1" if os.cpu_count() == 1 else f"1 of {os.cpu_count()} may be used"),
        Finding("memory", "8.0 GB available"),
    ]


def test_too_many_workers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """More workers than processors is a note; more than memory holds is to be fixed."""
    monkeypatch.setattr(machine, "available_processors", lambda: 4)
    monkeypatch.setattr(machine, "available_memory", lambda: 8_000_000_000)

    processors, memory = check_machine(8)

    assert processors.verdict is Verdict.NOTE
    assert processors.fix == "hydra.sweeper.n_jobs=8 requests more workers than processors; 4 are enough"
    assert memory.verdict is Verdict.FIX
    assert memory.fix == "a run may take 10.4 GB; lower hydra.sweeper.n_jobs, or end other programs"


@pytest.mark.parametrize(("limit", "expected"), [("max", 8_388_608_000), ("3000000000", 2_000_000_000)])
def test_a_container_s_limit_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int
) -> None:
    """What the machine has beyond it cannot be used."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_388_608_000))
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("1000000000\n")

    assert available_memory(tmp_path) == expected


def test_without_a_container_it_is_the_machine_s(tmp_path: Path) -> None:
    """More than nothing, and no more than there is."""
    assert 0 < available_memory(tmp_path / "none") < psutil.virtual_memory().total


def test_a_port_in_use_is_a_note() -> None:
    """It is named, with what chooses another one."""
    with socket.socket() as taken, socket.socket() as other:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other.bind(("127.0.0.1", 0))
        free, port = other.getsockname()[1], taken.getsockname()[1]
        other.close()

        (finding,) = check_ports((free, port))

    assert finding == Finding("ports", f"{port} is in use", Verdict.NOTE, "choose another one with PORT=N")
    assert list(check_ports((free,))) == [Finding("ports", f"{free} are free")]
