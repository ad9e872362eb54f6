"""Sweeps whose workers are started by Ray or Submitit, and that lose a worker, a node or their cluster, or are stopped.

    python benchmarks/engines.py [--only ray-node] [--folder PATH]

Each case is a sweep of its own, most of them of trials that sleep (`engines_program.py`), and two of small trainings on
synthetic flowers. Ray runs as a cluster of two nodes on this machine, with PostgreSQL as the storage; Submitit runs its jobs
as processes. Ctrl-C and SIGTERM go to the sweeper. After a case that ends early, the same command is given again. Then each
trial must be COMPLETE, exactly as many as the budget, and none may have ended twice. The exit code is 1 otherwise.

It needs `pip install 'flowersweep[ray,slurm,postgres,dev]'`, and the programs of a PostgreSQL server.
"""

import argparse
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from optuna.trial import FrozenTrial, TrialState

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from benchmarks.fresh import environment
from flowersweep.errors import SweepError
from flowersweep.process import PID_TAG
from flowersweep.sweep.storage.storage import closing_storage, open_storage
from flowersweep.sweep.study.attributes import OWNER
from flowersweep.sweep.study.study import join_study
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import prepare_store
from servers import postgresql

N_TRIALS = 8
WAIT_SECONDS = 300.0
ALLOWED_SECONDS = 30.0
HEAD_SECONDS = 60.0
PROGRAM = str(Path(__file__).with_name("engines_program.py").absolute())
SLEEPING = ("x=interval(0,1)",)
TRAINING = (
    "data=demo", "trainer=quick", "trainer.epochs=4", "model=cnn", "model.filters=[4]", "tracking.log_figures=false",
    "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
)  # fmt: skip


@dataclass
class Sweep:
    """A sweep that is watched and disturbed.

    Attributes:
        folder: Of its results.
        launcher: The arguments that choose the engine.
        storage: The URL of the study's storage; None for the default.
        trains: Whether its trials are trainings of flowersweep.
        node: The nodes of its cluster, the head node first.
        said: What happened, in words.
    """

    folder: Path
    launcher: Sequence[str]
    storage: str | None = None
    trains: bool = False
    node: Any = None
    said: list[str] = field(default_factory=list)

    def start(self) -> "subprocess.Popen[bytes]":
        """Give the command."""
        program = ["-m", "flowersweep", *TRAINING] if self.trains else [PROGRAM, *SLEEPING]
        given = [f"tracking.dir='{self.folder}'"] if self.trains else [f"folder='{self.folder}'"]
        given += [] if self.storage is None else [f"hydra.sweeper.storage='{self.storage}'"]
        given += [
            f"hydra.sweeper.n_trials={N_TRIALS}",
            "hydra.sweeper.n_jobs=2",
            "hydra.sweeper.study_name=engines",
        ]
        cache = os.environ.get("FLOWERSWEEP_CACHE", str(self.folder / "cache"))
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *program, "--multirun", *self.launcher, *given],
                env=environment({"FLOWERSWEEP_CACHE": cache}),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials of the study; none before it exists."""
        directory = self.folder if self.trains else self.folder / "results"
        if self.storage is None and not directory.exists():
            return []
        with closing_storage(open_storage(self.storage, directory)) as storage, suppress(SweepError):
            return join_study(storage, "engines").get_trials(states=states or None)
        return []

    def until_the_middle(self, running: "subprocess.Popen[bytes]") -> None:
        """Wait until a quarter of the trials is complete, and two are running."""
        until = time.monotonic() + WAIT_SECONDS
        while len(self.trials(TrialState.COMPLETE)) < N_TRIALS // 4 or len(self.workers()) < 2:
            if running.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"The sweep did not get to its middle; see {self.folder}/log")
            time.sleep(0.2)

    def workers(self) -> list[psutil.Process]:
        """The living processes to which running trials belong."""
        owners = [trial.user_attrs.get(OWNER) or {} for trial in self.trials(TrialState.RUNNING)]
        pids = {int(owner[PID_TAG]) for owner in owners if PID_TAG in owner}
        return [psutil.Process(pid) for pid in sorted(pids) if psutil.pid_exists(pid)]

    def ended(
        self, running: "subprocess.Popen[bytes]", since: float, what: str, allowed: float = ALLOWED_SECONDS
    ) -> None:
        """Wait for the end of the command, note how long it took and what it left, and give it again if it ended early."""
        code = running.wait(WAIT_SECONDS)
        took = time.monotonic() - since
        left = len(self.trials(TrialState.RUNNING))
        self.said.append(f"{what}: exit code {code} after {took:.1f} s, {left} RUNNING")
        if code and (took > allowed or left):
            self.said.append("WRONG: too late, or something is RUNNING")
        if code:
            self.said.append(f"said {self.last_line()!r}")
            again = time.monotonic()
            self.ended(self.start(), again, "the same command again")

    def last_line(self) -> str:
        """What the command said last."""
        lines = (self.folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "")

    def verdict(self) -> str:
        """What is in the study, in words."""
        states = Counter(trial.state.name for trial in self.trials())
        twice = self._ended_twice()
        is_good = states == {"COMPLETE": N_TRIALS} and not twice
        counted = ", ".join(f"{count} {name}" for name, count in sorted(states.items()))
        return f"{'' if is_good else 'WRONG: '}{counted} of {N_TRIALS}, {twice} ended twice"

    def _ended_twice(self) -> int:
        if not self.trains:
            lines = (self.folder / "marks").read_text(encoding="utf-8").splitlines()
            ended = Counter(line.split()[1] for line in lines if line.startswith("end"))
            return sum(ended.values()) - len(ended)
        store = client(prepare_store(self.folder).uri)
        ids = [one.experiment_id for one in store.search_experiments()]
        runs = list(store.search_runs(ids))
        open_runs = [run for run in runs if run.info.status == "RUNNING"]
        trials = [
            run for run in runs if run.info.status == "FINISHED" and run.data.tags.get("kind") == "trial"
        ]
        return len(open_runs) + len(trials) - len({run.data.tags["trial"] for run in trials})


@contextmanager
def nodes() -> Iterator[tuple[Any, ...]]:
    """A cluster of two nodes of this machine, with a core for one worker each: the head node, and the other one."""
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        yield cluster.head_node, cluster.add_node(**small)
    finally:
        for node in cluster.list_all_nodes():
            _kill_node(node)


def on_ray(head: Any, *, trains: bool) -> list[str]:
    """The arguments of a sweep on a cluster."""
    options = {"init.address": head.address, "remote.num_cpus": 1, "remote.max_retries": 3}
    preset = [f"hydra.launcher.ray.{name}={value}" for name, value in options.items()]
    return ["cluster=ray", *preset] if trains else ["hydra/launcher=ray", *("+" + one for one in preset)]


@contextmanager
def ray_cluster(folder: Path, *, trains: bool = False) -> Iterator[Sweep]:
    """A sweep on a cluster of Ray, with PostgreSQL."""
    with nodes() as (head, other), postgresql() as url:
        yield Sweep(folder, on_ray(head, trains=trains), url, trains, (head, other))


@contextmanager
def submitit(folder: Path, *, trains: bool = False, minutes: int = 60) -> Iterator[Sweep]:
    """Jobs as processes of this machine, of that length; Submitit restarts one that takes longer, up to three times."""
    name = "cluster" if trains else "hydra/launcher"
    longer = ["seconds=12"] if minutes == 1 else []
    launcher = [f"{name}=submitit_local", f"hydra.launcher.timeout_min={minutes}", *longer]
    yield Sweep(folder, launcher, None, trains)


def _kill_node(node: Any) -> None:
    """SIGKILL for all processes of a node of Ray, and for all that they have started."""
    found = [
        psutil.Process(one.process.pid)
        for kind in node.all_processes.values()
        for one in kind
        if one.process.poll() is None
    ]
    for process in [child for one in found for child in one.children(recursive=True)] + found:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def lose_node(sweep: Sweep) -> None:
    """SIGKILL for the second node."""
    _disturb(sweep, lambda _: _kill_node(sweep.node[1]), "node killed", 0)


def lose_head(sweep: Sweep) -> None:
    """SIGKILL for the head node and, when the sweep has ended, for the other one; then the study goes on elsewhere."""
    longer = ["seconds=12"]
    sweep.launcher = [*sweep.launcher, *longer]
    running = sweep.start()
    sweep.until_the_middle(running)
    _kill_node(sweep.node[0])
    began = time.monotonic()
    code = running.wait(WAIT_SECONDS)
    took = time.monotonic() - began
    late = "WRONG: " if took > HEAD_SECONDS else ""
    sweep.said += [
        f"{late}head node killed: exit code {code} after {took:.1f} s",
        f"said {sweep.last_line()!r}",
    ]
    _kill_node(sweep.node[1])
    left = N_TRIALS - len(sweep.trials(TrialState.COMPLETE))
    with nodes() as (head, _):
        sweep.launcher = [*on_ray(head, trains=sweep.trains), *longer]
        what = f"the same command on another cluster, with {left} trials left"
        sweep.ended(sweep.start(), time.monotonic(), what, 0)


def lose_worker(sweep: Sweep) -> None:
    """SIGKILL for a worker."""
    _disturb(sweep, lambda _: sweep.workers()[0].kill(), "worker killed", 0)


def interrupt(sweep: Sweep) -> None:
    """Ctrl-C."""
    _disturb(sweep, lambda running: running.send_signal(signal.SIGINT), "Ctrl-C")


def terminate(sweep: Sweep) -> None:
    """SIGTERM at the sweeper."""
    _disturb(sweep, lambda running: running.send_signal(signal.SIGTERM), "SIGTERM")


def wait(sweep: Sweep) -> None:
    """Nothing: the time of the jobs ends during the sweep."""
    sweep.ended(sweep.start(), time.monotonic(), "jobs of one minute", 0)
    logs = [path.read_text(encoding="utf-8") for path in sweep.folder.rglob("*_log.err")]
    count = sum(log.count("this job is timed-out") for log in logs)
    sweep.said.append(f"{'' if count else 'WRONG: '}{count} times the time of a job was up")


def _disturb(
    sweep: Sweep,
    act: Callable[["subprocess.Popen[bytes]"], None],
    what: str,
    allowed: float = ALLOWED_SECONDS,
) -> None:
    running = sweep.start()
    sweep.until_the_middle(running)
    act(running)
    sweep.ended(running, time.monotonic(), what, allowed)


CASES: dict[str, tuple[Any, Callable[[Sweep], None]]] = {
    "ray-node": (ray_cluster, lose_node),
    "ray-node-trainings": (partial(ray_cluster, trains=True), lose_node),
    "ray-interrupt": (ray_cluster, interrupt),
    "ray-head": (ray_cluster, lose_head),
    "submitit-worker": (submitit, lose_worker),
    "submitit-worker-trainings": (partial(submitit, trains=True), lose_worker),
    "submitit-time": (partial(submitit, minutes=1), wait),
    "submitit-interrupt": (submitit, interrupt),
    "submitit-terminate": (submitit, terminate),
}


def main() -> int:
    """Run the cases, each in a process of its own, and print what happened in each one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(CASES), help="may be repeated")
    parser.add_argument("--folder", type=Path, help="folder of the results; the default is a temporary one")
    given = parser.parse_args()
    if given.folder and given.only and len(given.only) == 1:
        return _run(given.only[0], given.folder.absolute() / given.only[0])
    packages = ("flowersweep", "ray", "submitit", "hydra-ray-launcher", "hydra-submitit-launcher")
    now = f"{dt.datetime.now().astimezone():%Y-%m-%d %H:%M}"
    print(now, ", ".join(f"{one} {version(one)}" for one in packages), flush=True)
    codes = []
    with tempfile.TemporaryDirectory(prefix="engines-") as temporary:
        for name in given.only or CASES:
            alone = [sys.executable, __file__, "--only", name, "--folder", str(given.folder or temporary)]
            codes.append(subprocess.run(alone, check=False).returncode)
    return max(codes)


def _run(name: str, folder: Path) -> int:
    engine, act = CASES[name]
    folder.mkdir(parents=True)
    began = time.monotonic()
    with engine(folder) as sweep:
        act(sweep)
        said = [*sweep.said, sweep.verdict()]
    print(f"{name} ({time.monotonic() - began:.0f} s)", *said, sep="\n  ", flush=True)
    return int("WRONG" in str(said))


if __name__ == "__main__":
    sys.exit(main())
