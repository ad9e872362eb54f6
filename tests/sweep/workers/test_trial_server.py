"""Tests of what runs inside a training process, here in this one; `test_training_process.py` starts real ones."""

import asyncio
import os
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from flowersweep.sweep.study.outcome import Outcome, State
from flowersweep.sweep.workers import trial_server
from flowersweep.sweep.workers.isolation.channel import Channel
from flowersweep.sweep.workers.messages import ATTRS, REPORT, Application, Job
from flowersweep.sweep.workers.trial import Pruned, running_trial


@pytest.fixture
def run(stub: Any) -> Callable[..., list[Any]]:
    """Run a function as trial 3, answering its reports; return all messages."""

    def run(function: Callable[[DictConfig], Any], answers: list[bool] | None = None) -> list[Any]:
        hydra_context, compose = stub.context()
        job = Job(compose(3, ["x=0.5"]), 3, "s", {"x": 0.5}, attempt=1, parent_run_id="abc")
        mine, its = socket.socketpair()
        here, there = Connection(mine.detach()), Channel(its.detach())
        for answer in answers or []:
            here.send(answer)
        outcome = trial_server._run(Application.here(function, hydra_context), job, there)
        messages = []
        while here.poll():
            message = here.recv()
            assert message.is_of(os.getpid(), job)
            assert not message.is_of(os.getpid(), job.again())
            messages.append((message.kind, *message.content))
        here.close()
        there.close()
        return [*messages, outcome]

    return run


def test_run_sees_its_configuration_and_trial(run: Callable[..., list[Any]]) -> None:
    """The function gets the trial's configuration, Hydra's job number is the trial's, and the trial is there."""
    seen: dict[str, Any] = {}

    def task(cfg: DictConfig) -> float:
        trial = running_trial()
        assert trial is not None
        seen.update(x=cfg.x, job=HydraConfig.get().job.num, number=trial.number, params=trial.params)
        seen.update(attempt=trial.attempt, parent=trial.parent_run_id, study=trial.study_name)
        return 0.25

    assert run(task) == [Outcome(State.COMPLETE, (0.25,))]
    assert seen == {
        "x": 0.5,
        "job": 3,
        "number": 3,
        "params": {"x": 0.5},
        "attempt": 1,
        "parent": "abc",
        "study": "s",
    }
    assert running_trial() is None


def test_reports_and_attributes_are_sent(run: Callable[..., list[Any]]) -> None:
    """Every report waits for its answer; a run that is pruned ends PRUNED."""

    def task(_: DictConfig) -> float:
        trial = running_trial()
        assert trial is not None
        trial.user_attrs({"run_id": "r"})
        trial.report(0, 0.5)
        trial.report(1, 0.75)
        return 1.0

    assert run(task, [False, True]) == [
        (ATTRS, {"run_id": "r"}),
        (REPORT, 0, 0.5),
        (REPORT, 1, 0.75),
        Outcome(State.PRUNED, reason="It was pruned after step 1 at 0.7500."),
    ]


def test_pruning_is_no_failed_job_for_hydra(
    run: Callable[..., list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """Hydra does not log a pruned trial as a failed job."""

    def task(_: DictConfig) -> float:
        raise Pruned("enough")

    assert run(task)[-1].state is State.PRUNED
    assert "failed" not in caplog.text


def test_exceptions_become_outcomes(run: Callable[..., list[Any]]) -> None:
    """What a run raises, an exit among it, is its outcome and not the process's end."""

    def raising(_: DictConfig) -> float:
        raise ValueError("bad picture")

    def leaving(_: DictConfig) -> float:
        raise SystemExit(3)

    def cancelled(_: DictConfig) -> float:
        raise asyncio.CancelledError("no time")

    def keyboard(_: DictConfig) -> float:
        raise KeyboardInterrupt("as if someone had typed it")

    assert run(raising)[-1].reason == "ValueError: bad picture"
    assert run(cancelled)[-1].reason == "CancelledError: no time"
    assert run(keyboard)[-1].reason == "KeyboardInterrupt: as if someone had typed it"
    assert "in raising" in run(raising)[-1].traceback
    assert run(leaving)[-1].reason == "SystemExit: 3"
