"""Tests of the log that training processes share."""

import os
import time
from pathlib import Path

import pytest

from flowersweep.sweep.workers import training_log
from flowersweep.sweep.workers.training_log import TrainingLog


def test_what_is_written_can_be_watched(tmp_path: Path) -> None:
    """The beginning of a trial's output is in the file before the trial has ended."""
    log, until = TrainingLog(tmp_path / "log"), time.monotonic() + 30
    os.write(log.writer, b"epoch 1\n")
    while not (tmp_path / "log").exists() or (tmp_path / "log").read_bytes() != b"epoch 1\n":
        assert time.monotonic() < until
        time.sleep(0.01)
    os.close(log.writer)
    log.close()


def test_a_long_log_is_renamed_and_one_older_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log beyond its size is renamed after a trial, for all processes that write to it."""
    monkeypatch.setattr(training_log, "FILE_BYTES", 1000)
    logs = [TrainingLog(tmp_path / "log") for _ in range(2)]
    for number in range(7):
        os.write(logs[number % 2].writer, f"{number}".encode() * 600)
        logs[number % 2].cut()
    for log in logs:
        os.close(log.writer)
        log.close()

    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1"]
    assert (tmp_path / "log.1").read_text() == "4" * 600 + "5" * 600
    assert (tmp_path / "log").read_text() == "6" * 600


def test_a_full_disk_costs_the_log_only(tmp_path: Path) -> None:
    """If the log cannot be written, nothing is raised, and the process that prints does not wait."""
    log = TrainingLog(tmp_path / "no such folder" / "log")
    for _ in range(20):
        os.write(log.writer, b"x" * 50_000)
    log.cut()
    os.close(log.writer)
    log.close()

    assert list(tmp_path.iterdir()) == []


def test_close_does_not_wait_for_a_child_that_still_writes(tmp_path: Path) -> None:
    """The log ends with its process, even if another one has its end of the pipe."""
    log = TrainingLog(tmp_path / "log")
    os.write(log.writer, b"last words")
    log.close()

    def write_on() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            os.write(log.writer, b"more")
            time.sleep(0.01)

    with pytest.raises(BrokenPipeError):
        write_on()
    os.close(log.writer)

    assert (tmp_path / "log").read_text() == "last words"
