"""Processors, memory, ports."""

import os
import socket

import pytest

from flowersweep.doctor import machine
from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.doctor.machine import check_machine, check_ports


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
