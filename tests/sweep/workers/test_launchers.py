"""Workers that Submitit and Ray start on this machine are interrupted and killed; errors that say so."""

import os
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState

from flowersweep.errors import SweepStoppedError
from flowersweep.sweep.workers.launch import is_loss

PLUGINS = {
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}
# Without Ray's own retries, which hide the loss of a worker.
ONCE = {
    "submitit_local": (),
    "ray": ("hydra.launcher.ray.init.num_cpus=2", "hydra.launcher.ray.remote.max_retries=0"),
}


@pytest.fixture(params=PLUGINS)
def launcher(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The arguments of a launcher; the test is skipped where its plugin is not installed."""
    if find_spec(PLUGINS[request.param]) is None:
        pytest.skip(f"{PLUGINS[request.param]} is not installed")
    return (f"hydra/launcher={request.param}", *(f"+{one}" for one in ONCE[request.param]))


@pytest.mark.slow
def test_a_signal_ends_it(app: Any, launcher: tuple[str, ...]) -> None:
    """Within 30 seconds, with nothing left running, neither a trial nor a process; no file has the password."""
    number = signal.SIGINT if "hydra/launcher=ray" in launcher else signal.SIGTERM
    running = app.start(
        *launcher,
        "x=interval(0,1)",
        "hydra.sweeper.n_trials=6",
        "hydra.sweeper.n_jobs=2",
        "seconds=300",
        "+note='http://me:Wx7-secret-9@db'",
    )
    app.wait_for(lambda: len({mark[2] for mark in app.beginnings()}) == 2)
    running.send_signal(number)
    began = time.monotonic()
    code, out, err = app.ended(running)

    assert time.monotonic() - began < 30
    assert code == 128 + number, err
    assert "Traceback" not in err
    assert "6 of 6 trials are left" in out
    assert {trial.state.name for trial in app.study().trials} == {"WAITING"}
    app.wait_for(lambda: not any(app.lives(pid) for mark in app.beginnings() for pid in mark[1:]), seconds=20)
    files = [path for path in Path("results").rglob("*") if path.is_file()]
    assert len(list(Path("results").rglob("*_submitted.pkl"))) == (2 if number == signal.SIGTERM else 0)
    assert not [path for path in files if b"Wx7-secret" in path.read_bytes()]


@pytest.mark.slow
def test_a_lost_worker_costs_no_trial(app: Any, launcher: tuple[str, ...]) -> None:
    """The other worker goes on, another one takes the place of the dead one, and the sweep waits for both."""
    running = app.start(
        *launcher,
        "x=interval(0,1)",
        "hydra.sweeper.n_trials=6",
        "hydra.sweeper.n_jobs=2",
        "seconds=1",
        "long=30",
    )
    app.wait_for(lambda: {mark[0] for mark in app.beginnings()} >= {0, 1})
    (worker,) = {mark[2] for mark in app.beginnings() if mark[0] == 1}
    os.kill(worker, signal.SIGKILL)
    app.wait_for(lambda: len(app.study().get_trials(states=[TrialState.COMPLETE])) >= 3, seconds=120)
    Path("results", "quick").touch()
    code, out, err = app.ended(running)

    assert code == 0, err
    assert "6 complete" in out
    assert "A worker's process died" in err
    assert [trial.state.name for trial in app.study().trials] == ["COMPLETE"] * 6
    assert [mark[0] for mark in app.beginnings()].count(0) == 1


def test_a_lost_head_node_ends_the_sweep(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one sentence, although Ray raises a KeyboardInterrupt of its own where its wait is interrupted."""

    def wait_as_ray(*_: object) -> None:
        try:
            time.sleep(20)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None

    workers = "flowersweep.sweep.workers"
    monkeypatch.setattr(f"{workers}.launch._launch_once", wait_as_ray)
    monkeypatch.setattr(f"{workers}.launch.start_ray", lambda _: SimpleNamespace(loss=lambda: "It is lost"))
    monkeypatch.setattr(f"{workers}.stopping.LOOK_SECONDS", 0.0)

    with pytest.raises(SweepStoppedError, match=r"^It is lost; the same command resumes the sweep\.$"):
        app.sweep(monkeypatch, "x=interval(0,1)", "hydra.sweeper.n_trials=2")
    assert app.study().trials == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["UncompletedJobError"], True),
        (["UncompletedJobError", "FailedJobError"], False),
        (["RayError", "WorkerCrashedError"], True),
        (["RayError", "RayTaskError"], False),
        (["BrokenExecutor", "BrokenProcessPool", "TerminatedWorkerError"], True),
        (["ValueErrors"], False),
    ],
)
def test_errors_that_mean_the_loss_of_a_worker(names: list[str], *, expected: bool) -> None:
    """By the names of their classes; errors of a job itself are none of them."""
    kind: type[Exception] = RuntimeError
    for name in names:
        kind = type(name, (kind,), {})
    assert is_loss(kind("job 3")) is expected
