"""Tests of the training process: real ones, which run trials, die, are replaced and stopped."""

import ctypes
import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from flowersweep import process
from flowersweep.errors import SweepError
from flowersweep.sweep.study.outcome import Outcome, State
from flowersweep.sweep.workers.messages import Application, Job
from flowersweep.sweep.workers.training_process import TrainingProcess, environment
from flowersweep.sweep.workers.trial import running_trial
from flowersweep.tracking.mlflow_api import ELSEWHERE


@dataclass
class Notes:
    """A relay that writes down what it is told."""

    reports: list[tuple[int, float]] = field(default_factory=list)
    attrs: dict[str, Any] = field(default_factory=dict)
    stop_after: float = 1e9
    prune_at: int | None = None
    began: float = field(default_factory=time.monotonic)

    def report(self, step: int, value: float) -> bool:
        """Prune at `prune_at`."""
        self.reports.append((step, value))
        return step == self.prune_at

    def keep(self, attrs: Mapping[str, Any]) -> None:
        """Keep them."""
        self.attrs.update(attrs)

    def leads(self, value: float) -> bool:
        """Only values over a half lead."""
        return value > 0.5

    def must_stop(self) -> bool:
        """Stop after some seconds."""
        return time.monotonic() - self.began > self.stop_after


@dataclass
class Bench:
    """A training process and a way to give it jobs."""

    process: TrainingProcess
    compose: Callable[[int, list[str]], DictConfig]

    def job(self, number: int = 0, *overrides: str) -> Job:
        """Return a job."""
        return Job(self.compose(number, ["x=0.25", *overrides]), number, "s", {"x": 0.25})

    def run(self, number: int = 0, notes: Notes | None = None, *overrides: str) -> Outcome | None:
        """Run a trial."""
        return self.process.run(self.job(number, *overrides), notes or Notes())


@pytest.fixture
def bench(stub: Any) -> Iterator[Callable[..., Bench]]:
    """Make a training process for an objective of the stub, or another function."""
    made: list[TrainingProcess] = []

    def make(objective: str | Callable[[DictConfig], Any], **arguments: Any) -> Bench:
        hydra_context, compose = stub.context()
        function = getattr(stub, objective) if isinstance(objective, str) else objective
        made.append(TrainingProcess(Application.here(function, hydra_context), **arguments))
        return Bench(made[-1], compose)

    yield make
    for training_process in made:
        training_process.close()


def _lives(pid: int) -> bool:
    start = process.start_of(pid)
    return start is not None and not start.endswith("ended")


def _mark(_: DictConfig) -> int:
    trial = running_trial()
    assert trial is not None
    trial.user_attrs({"pid": os.getpid(), "session": os.getsid(0), "threads": os.environ["OMP_NUM_THREADS"]})
    return trial.number


def _deaf_to_sigterm(_: DictConfig) -> float:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _mark(_)
    time.sleep(60)
    return 0.0


@pytest.mark.slow
def test_runs_trials_and_is_replaced_after_some(bench: Callable[..., Bench]) -> None:
    """Trials share a process of its own session until their number is reached; then the next gets a new one."""
    made = bench(_mark, trials_per_process=2)
    pids = []
    for number in range(4):
        notes = Notes()
        assert made.run(number, notes) == Outcome(State.COMPLETE, (float(number),))
        assert notes.attrs["session"] == notes.attrs["pid"] != os.getpid()
        pids.append(notes.attrs["pid"])

    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert made.process.pid is None
    assert not _lives(pids[0])


@pytest.mark.slow
def test_is_replaced_when_it_has_grown(bench: Callable[..., Bench]) -> None:
    """A process that uses much more memory than after its first trial is replaced."""
    kept: list[bytes] = []

    def growing(_: DictConfig) -> float:
        kept.append(os.urandom(30_000_000))
        return 0.0

    made, pids = bench(growing, trials_per_process=100, max_growth_mb=50), []
    for number in range(4):
        made.process.start()
        pids.append(made.process.pid)
        made.run(number)

    assert pids[0] == pids[1] == pids[2] != pids[3]


@pytest.mark.slow
def test_reports_are_answered(bench: Callable[..., Bench]) -> None:
    """Reports and attributes arrive, and a trial that is not wanted ends PRUNED while its process goes on."""
    made, notes = bench("reporting"), Notes(prune_at=2)
    outcome = made.run(4, notes)

    assert outcome is not None
    assert outcome.state is State.PRUNED
    assert notes.reports == [(0, 0.25), (1, 0.25), (2, 0.25)]
    assert notes.attrs == {"run_id": "run-4", "pid": made.process.pid}


@pytest.mark.slow
def test_death_is_an_outcome_and_the_next_trial_gets_a_new_process(bench: Callable[..., Bench]) -> None:
    """A process that is killed costs its trial only."""
    made = bench("killed_always")
    outcome = made.run(1)

    assert outcome == Outcome(State.FAIL, reason="Its process was killed by SIGSEGV.", died=True)
    assert made.run(0) == Outcome(State.COMPLETE, (0.25,))


def _fork(cfg: DictConfig) -> int:
    """Fork as Python does, or as a library written in C, of which Python knows nothing."""
    return os.fork() if cfg.seconds == 0 else int(ctypes.CDLL(None).fork())


MANY = "of many that nobody will read"
FORKS = pytest.mark.parametrize("fork", ["seconds=0.0", "seconds=1.0"], ids=["in Python", "in C"])


@pytest.mark.slow
@FORKS
def test_death_is_noticed_although_a_child_lives_on(bench: Callable[..., Bench], fork: str) -> None:
    """A killed process is noticed at once although its forked child has the socket, and the child is ended as well."""

    def leaving_a_sleeper(cfg: DictConfig) -> float:
        trial = running_trial()
        assert trial is not None
        if (child := _fork(cfg)) == 0:
            time.sleep(600)
        trial.user_attrs({"child": child})
        os.kill(os.getpid(), signal.SIGKILL)
        return 0.0

    made, notes = bench(leaving_a_sleeper), Notes(stop_after=60)
    outcome = made.run(0, notes, fork)

    assert outcome is not None
    assert outcome.reason == "Its process was killed by SIGKILL (the machine may be out of memory)."
    until = time.monotonic() + 30
    while _lives(notes.attrs["child"]):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
@FORKS
def test_a_forked_child_says_nothing(bench: Callable[..., Bench], fork: str) -> None:
    """What a forked child reports, returns or raises is no message of its trial, nor of the next one."""

    def forking(cfg: DictConfig) -> float:
        trial = running_trial()
        assert trial is not None
        for way in ("report", "return", "raise"):
            if (child := _fork(cfg)) == 0:
                if way == "report":
                    trial.report(1, 7.5)
                if way == "raise":
                    raise ValueError
                return 5.5
            os.waitpid(child, 0)
        trial.report(2, trial.number)
        return trial.number

    made = bench(forking)
    for number in range(2):
        notes = Notes()
        assert made.run(number, notes, fork) == Outcome(State.COMPLETE, (float(number),))
        assert notes.reports == [(2, float(number))]


@pytest.mark.slow
def test_a_thread_says_nothing_after_its_trial(bench: Callable[..., Bench]) -> None:
    """A thread that outlives its trial cannot report to the next one; threads of one trial get each its own answer."""
    late: list[str] = []

    def threading_on(_: DictConfig) -> float:
        trial = running_trial()
        assert trial is not None
        if trial.number == 1:
            until = time.monotonic() + 30
            while not late and time.monotonic() < until:
                time.sleep(0.01)
            trial.user_attrs({"late": late})
            return 1.0

        def outlive() -> None:
            while (now := running_trial()) is None or now.number == 0:
                time.sleep(0.01)
            try:
                trial.report(9, 9.0)
            except RuntimeError as error:
                late.append(str(error))

        threading.Thread(target=outlive, daemon=True).start()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda step: trial.report(step, 0.5), range(40)))
        return 0.0

    made, first, second = bench(threading_on), Notes(), Notes()

    assert made.run(0, first) == Outcome(State.COMPLETE, (0.0,))
    assert sorted(first.reports) == [(step, 0.5) for step in range(40)]
    assert made.run(1, second) == Outcome(State.COMPLETE, (1.0,))
    assert second.reports == []
    assert second.attrs["late"] == [
        "Trial 0 cannot report from here: it has ended, or this is a process that it forked."
    ]


@pytest.mark.slow
def test_a_started_program_cannot_report(bench: Callable[..., Bench]) -> None:
    """It warns; a trial has the values of its configuration."""

    def starting(_: DictConfig) -> float:
        report = "from flowersweep import current_trial; current_trial().report(1, 0.5)"
        ran = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=False)
        trial = running_trial()
        assert trial is not None
        trial.user_attrs({"said": ran.stderr.splitlines()[-1], "params": dict(trial.params)})
        return 0.0

    made, notes = bench(starting), Notes()
    job = replace(made.job(), params={"x": 0.25, "sizes": "[1,2]"}, values={"sizes": [1, 2]})
    assert made.process.run(job, notes) == Outcome(State.COMPLETE, (0.0,))
    assert notes.attrs["said"].startswith(
        "Trial 0 gets no reports and attributes from here: this is a program"
    )
    assert notes.attrs["params"] == {"x": 0.25, "sizes": [1, 2]}
    assert notes.reports == []


@pytest.mark.slow
def test_a_failure_does_not_poison_the_next_trial(bench: Callable[..., Bench], tmp_path: Path) -> None:
    """After a trial that left its process in a removed folder and failed, the next one runs where all others did."""

    def poisoning(_: DictConfig) -> float:
        trial = running_trial()
        assert trial is not None
        if trial.number == 1:
            return float(Path.cwd() == tmp_path and "OF_TRIAL_0" not in os.environ)
        Path("removed").mkdir()
        os.chdir("removed")
        Path.cwd().rmdir()
        os.environ["OF_TRIAL_0"] = "1"
        raise ValueError

    made = bench(poisoning)

    assert made.run(0).state is State.FAIL  # type: ignore[union-attr] # nothing stops it
    assert made.run(1) == Outcome(State.COMPLETE, (1.0,))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_from_elsewhere_is_named(bench: Callable[..., Bench], name: str) -> None:
    """The reason names the signal that ended a training process, and code of the trial that cleans up is run before."""

    def signalled(_: DictConfig) -> float:
        trial = running_trial()
        assert trial is not None
        try:
            signal.raise_signal(getattr(signal, name))
        finally:
            trial.user_attrs({"cleaned": True})
        return 0.0

    made, notes = bench(signalled), Notes()

    assert made.run(0, notes) == Outcome(State.FAIL, reason=f"Its process was killed by {name}.", died=True)
    assert notes.attrs == {"cleaned": True}


@pytest.mark.slow
def test_process_that_died_between_trials(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    """Another one runs the next trial, which has nothing to do with it."""
    made = bench("quick")
    made.run(0)
    assert made.process.pid is not None
    os.kill(made.process.pid, signal.SIGKILL)
    time.sleep(0.1)

    assert made.run(1) == Outcome(State.COMPLETE, (0.25,))
    assert caplog.messages == [
        "The training process ended while no trial was running; another one is started."
    ]


@pytest.mark.slow
def test_stop_ends_the_trial_soon(bench: Callable[..., Bench]) -> None:
    """When the relay wants to stop, the process ends long before the trial would, and there is no outcome."""
    made = bench("quick")
    made.run(0)
    pid = made.process.pid
    began = time.monotonic()

    assert made.run(1, Notes(stop_after=0.1), "seconds=600") is None
    assert time.monotonic() - began < 300
    assert pid is not None
    assert not _lives(pid)


@pytest.mark.slow
def test_process_that_will_not_stop_is_killed(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ignores SIGTERM is killed after its patience."""
    monkeypatch.setattr("flowersweep.sweep.workers.child_process.STOP_SECONDS", 0.3)
    made, notes = bench(_deaf_to_sigterm), Notes(stop_after=2.5)

    assert made.run(0, notes) is None
    assert not _lives(notes.attrs["pid"])


@pytest.mark.slow
def test_output_goes_to_the_file(bench: Callable[..., Bench], tmp_path: Path) -> None:
    """What the process prints is appended to the file, also past Python; of long outputs the beginning and the end."""

    def printing(_: DictConfig) -> float:
        trial = running_trial()
        assert trial is not None
        os.write(1, b"from below\n")
        os.write(2, b"an error\n")
        if trial.number == 1:
            for number in range(100_000):
                sys.stdout.write(f"line {number} {MANY}\n")
            os.write(2, b"why it died\n")
            os.kill(os.getpid(), signal.SIGKILL)
        sys.stdout.write("said\n")
        return 0.0

    made = bench(printing, output=tmp_path / "out")
    made.run(0)

    assert (tmp_path / "out").read_text() == "from below\nan error\nsaid\n"
    made.run(1)
    made.run(2)
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines[:6] == ["from below", "an error", "said", "from below", "an error", f"line 0 {MANY}"]
    assert f"line 99000 {MANY}" in lines
    assert lines[-4:] == ["why it died", "from below", "an error", "said"]
    assert any(re.fullmatch(r"\[\.\.\. [\d,]+ bytes omitted \.\.\.\]", line) for line in lines)
    assert (tmp_path / "out").stat().st_size < 400_000


def test_program_that_cannot_be_loaded(bench: Callable[..., Bench]) -> None:
    """If the process cannot load the program, no trial is blamed for it."""

    class Unloadable:
        def __reduce__(self) -> tuple[Any, ...]:
            return (importlib.import_module, ("no_such_module",))

        def __call__(self, _: DictConfig) -> float:
            return 0.0

    made = bench(Unloadable())
    with pytest.raises(SweepError, match=r"cannot load the program: ModuleNotFoundError: .*no_such_module"):
        made.run(0)


class TestEnvironment:
    """The environment of a training process."""

    def test_cores_are_divided(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each worker's process gets its part of the cores, but at least one."""
        for name in (
            "OMP_NUM_THREADS",
            "SLURM_CPUS_PER_TASK",
            "TF_NUM_INTRAOP_THREADS",
            "TF_NUM_INTEROP_THREADS",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("flowersweep.sweep.workers.training_process.available_processors", lambda: 8)

        assert environment(3)["OMP_NUM_THREADS"] == "2"
        assert environment(3)["TF_NUM_INTRAOP_THREADS"] == "2"
        assert environment(30)["TF_NUM_INTEROP_THREADS"] == "1"

    @pytest.mark.parametrize("name", ["SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS"])
    def test_cores_that_a_scheduler_gave_are_not_divided(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """The other workers of the sweep are on other cores, and TensorFlow uses all of these."""
        for each in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "TF_NUM_INTRAOP_THREADS"):
            monkeypatch.delenv(each, raising=False)
        monkeypatch.setenv(name, "6")
        assert environment(30)["OMP_NUM_THREADS"] == environment(30)["TF_NUM_INTRAOP_THREADS"] == "6"

    def test_what_the_user_set_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Threads that the user chose are kept, and what leads MLflow elsewhere than to the trial's run is not passed on."""
        monkeypatch.setenv("OMP_NUM_THREADS", "5")
        for name in ELSEWHERE:
            monkeypatch.setenv(name, "abc")

        assert environment(1)["OMP_NUM_THREADS"] == "5"
        assert not set(ELSEWHERE) & environment(1).keys()


def _closes_streams(_: DictConfig) -> float:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
    return 1.0


def _closes_descriptors(_: DictConfig) -> float:
    sys.stdout.write("output that waits in the buffer")
    for number in (0, 1, 2):
        os.close(number)
    return 1.0


def _replaces_streams(_: DictConfig) -> float:
    sys.stdout = sys.stderr = None
    return 1.0


@pytest.mark.slow
@pytest.mark.parametrize("objective", [_closes_streams, _closes_descriptors, _replaces_streams])
def test_streams_that_a_trial_closes_cost_nothing(
    bench: Callable[..., Bench], tmp_path: Path, objective: Callable[[DictConfig], float]
) -> None:
    """A trial that closes its standard streams has its result, and so has the next one in the same process."""
    made = bench(objective, output=tmp_path / "training.log")

    assert [made.run(number) for number in range(2)] == [Outcome(State.COMPLETE, (1.0,))] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("variable", "number"), [(None, signal.SIGUSR2), ("USR1", signal.SIGUSR1)])
def test_the_signal_of_submitit_is_for_its_worker(
    bench: Callable[..., Bench],
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    number: signal.Signals,
) -> None:
    """Slurm sends it to all processes of a job whose time is up; a training goes on until the worker ends it."""

    def objective(_: DictConfig) -> float:
        signal.raise_signal(number)
        return 0.5

    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    if variable is not None:
        monkeypatch.setenv("SUBMITIT_PREEMPT_SIGNAL", variable)
    outcome = bench(objective).run()

    assert outcome is not None
    assert (outcome.state, outcome.values) == (State.COMPLETE, (0.5,))
