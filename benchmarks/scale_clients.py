"""A process with many workers of a study for `scale.py`; their trainings only sleep.

Everything else is a worker's: it asks, claims, reports, gives signs of life, looks for a message that stops the study,
and tells, with a storage of its own. Finished trials are kept once per process, because a thousand caches of a study do
not fit into this machine; they are read by each worker all the same.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from flowersweep.doors.optuna_database import Database
from flowersweep.errors import SweepError
from flowersweep.sweep.schema import AutoSamplerConf
from flowersweep.sweep.search.pruner import make_pruner
from flowersweep.sweep.search.sampler import distinct_sampler
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.storage.patience import patience
from flowersweep.sweep.storage.storage import close_connections, closing_storage, open_storage
from flowersweep.sweep.study import claim, held_trial
from flowersweep.sweep.study.budget import Budget
from flowersweep.sweep.study.outcome import Outcome, State
from flowersweep.sweep.study.study import join_study
from flowersweep.sweep.workers import worker as workers
from flowersweep.sweep.workers.messages import Job
from flowersweep.sweep.workers.training_process import Relay

SEARCHED = (
    "lr=tag(log,interval(1e-5,1e-1))",
    "decay=tag(log,interval(1e-6,1e-2))",
    "dropout=interval(0,0.6)",
    "smoothing=interval(0,0.2)",
    "momentum=interval(0.5,0.99)",
)
_TICK = 1.0
_PATIENCE = 3600.0
# Workers of one process that open their storage at the same time; on a cluster, they do not start in the same second.
_OPENING = threading.Semaphore(2)


def space() -> Space:
    """What is searched: five numbers."""
    return build_space(list(SEARCHED))


class Sleeping:
    """Stands for a training process: sleeps, reports, and measures what its worker takes for it.

    Args:
        options: Of the command line.
        moment: Chooses durations and values.
        seconds: Filled with durations, by what was done.
    """

    def __init__(
        self, options: argparse.Namespace, moment: random.Random, seconds: dict[str, list[float]]
    ) -> None:
        self._options = options
        self._moment = moment
        self._seconds = seconds
        self._asked = self._told = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def start(self) -> None:
        """The worker is about to ask for a trial; it has told the study about the previous one."""
        if self._told:
            self._note("tell", self._told)
        self._asked = time.perf_counter()

    def run(self, _job: Job, relay: Relay) -> Outcome | None:
        """The worker has a trial and its values."""
        self._note("ask", self._asked)
        mean, epochs = self._options.seconds, self._options.epochs
        # The mean of a log-normal distribution is exp(mu + sigma² / 2).
        sigma = self._options.sigma
        duration = mean * self._moment.lognormvariate(-(sigma**2) / 2, sigma) if mean else 0.0
        for epoch in range(epochs):
            if not self._sleep(duration / epochs, relay):
                return None
            began = time.perf_counter()
            is_pruned = relay.report(epoch, self._moment.random())
            self._note("report", began)
            if is_pruned:
                return self._end(Outcome(State.PRUNED, reason="pruned"))
        if not epochs and not self._sleep(duration, relay):
            return None
        return self._end(Outcome(State.COMPLETE, (self._moment.random(),)))

    def _end(self, outcome: Outcome) -> Outcome:
        self._told = time.perf_counter()
        return outcome

    def _sleep(self, seconds: float, relay: Relay) -> bool:
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            time.sleep(min(_TICK, left))
            began = time.perf_counter()
            must_stop = relay.must_stop()
            if (took := time.perf_counter() - began) > 1e-3:  # it has read or written something
                self._seconds.setdefault("sign", []).append(took)
            if must_stop:
                return False
        return True

    def _note(self, what: str, began: float) -> None:
        self._seconds.setdefault(what, []).append(time.perf_counter() - began)


def _with_shared_memory() -> None:
    """Keep one object per finished trial in this process."""
    pool: dict[int, FrozenTrial] = {}
    read = Database.trials

    def shared(self: Database, ids: Collection[int]) -> list[FrozenTrial]:
        return [
            pool.setdefault(trial._trial_id, trial) if trial.state.is_finished() else trial  # noqa: SLF001
            for trial in read(self, ids)
        ]

    Database.trials = shared  # type: ignore[method-assign]


def _sampler_for(name: str) -> Callable[[int], Any]:
    targets = {"tpe": "optuna.samplers.TPESampler", "random": "optuna.samplers.RandomSampler"}
    node = OmegaConf.create({"_target_": targets[name], "seed": 1})
    if name == "tpe":
        node = OmegaConf.structured(AutoSamplerConf(seed=1))
    searched = space()
    return lambda number: distinct_sampler(
        node, trial_number=number, space=searched, n_directions=1, explicit=()
    )


def _work(options: argparse.Namespace, number: int, found: dict[str, Any], gate: threading.Barrier) -> None:
    seconds = found["seconds"][number]
    with patience(_PATIENCE), _OPENING:
        began = time.perf_counter()
        storage = open_storage(options.storage, Path())
        node = OmegaConf.create({"_target_": f"optuna.pruners.{options.pruner}"})
        study = join_study(storage, "scale", make_pruner(node))
        seconds["open"] = [time.perf_counter() - began]
        began = time.perf_counter()
        study.get_trials(deepcopy=False)
        seconds["first read"] = [time.perf_counter() - began]
        close_connections(storage)
    moment = random.Random(f"{options.process} {number}")  # noqa: S311 - it picks durations
    with closing_storage(storage):
        gate.wait()
        time.sleep(moment.uniform(0, options.ramp))
        deadline = time.time() + options.timeout if options.timeout else None
        budget = Budget(options.trials, deadline=deadline)
        worker = workers.Worker(
            study,
            space(),
            budget,
            lambda _number, overrides: DictConfig({"overrides": overrides}),
            Sleeping(options, moment, seconds),  # type: ignore[arg-type] # stands for a training process
            _sampler_for(options.sampler),
            patience=_PATIENCE,
        )
        try:
            report = workers.work(worker)
        except SweepError as error:
            found["errors"].append(str(error))
            return
        found["counts"].append(report.counts[State.COMPLETE])


def main(arguments: Sequence[str] | None = None) -> int:
    """Be many workers; print what they measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--process", type=int, required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--sampler", choices=("tpe", "random"), required=True)
    parser.add_argument("--pruner", default="NopPruner")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--sigma", type=float, default=0.5)
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--faster", type=float, default=1.0)
    parser.add_argument("--ramp", type=float, default=0.0)
    options = parser.parse_args(arguments)
    claim.HEARTBEAT_SECONDS /= options.faster
    held_trial.LOOK_SECONDS /= options.faster  # type: ignore[attr-defined] # it is imported there
    _with_shared_memory()
    found: dict[str, Any] = {"seconds": [{} for _ in range(options.workers)], "errors": [], "counts": []}
    gate = threading.Barrier(options.workers + 1)
    threads = [
        threading.Thread(target=_work, args=(options, number, found, gate))
        for number in range(options.workers)
    ]
    for thread in threads:
        thread.start()
    sys.stdout.write("ready\n") if _all_ready(gate, threads) else None
    sys.stdout.flush()
    sys.stdin.readline()  # until all processes are ready
    began, used = time.time(), time.process_time()
    gate.wait()
    for thread in threads:
        thread.join()
    found |= {"elapsed": time.time() - began, "processors": time.process_time() - used}
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


def _all_ready(gate: threading.Barrier, threads: Sequence[threading.Thread]) -> bool:
    while gate.n_waiting < len(threads) and all(thread.is_alive() for thread in threads):
        time.sleep(0.05)
    return True


if __name__ == "__main__":
    sys.exit(main())
