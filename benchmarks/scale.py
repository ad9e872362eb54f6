"""A thousand workers of one study on PostgreSQL: trials per second, latencies, connections, load of the server.

    python benchmarks/scale.py capacity --running 10 100 1000 --finished 0 1000 10000
    python benchmarks/scale.py workers --workers 1000 --trials 3000 --seconds 60

`capacity` asks for trials as fast as possible, with few workers, while a number of other trials are running and
finished: the lock that counting and asking share lets one worker in at a time, so this is the most that any number of
workers can do. `workers` runs that number of workers, with trainings that sleep (log-normal durations), and
checks that the budget is exact. With --faster, signs of life and looks come as many times more often as trainings
are shorter than real ones.

Needs PostgreSQL's programs (initdb, postgres, pg_isready, and the extension pg_stat_statements). Workers are threads of
some processes (`scale_clients.py`), each with a storage and connections of its own.
"""

import argparse
import json
import math
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks.fresh import environment
from benchmarks.results import quantile
from benchmarks.scale_clients import space
from benchmarks.scale_server import Filling, Server, fill, server
from flowersweep.doors.optuna_api import study_id
from flowersweep.sweep.storage.storage import closing_storage, open_storage
from flowersweep.sweep.study.study import join_study, open_study

_LOOK_SECONDS = 0.5
_CLIENTS = Path(__file__).with_name("scale_clients.py")
_KINDS = ("open", "first read", "ask", "report", "sign", "tell")


class Watch:
    """Counts the connections of a server until its block ends.

    Args:
        of: The server.

    Attributes:
        most: The largest number of them.
        mean: Their mean number.
    """

    def __init__(self, of: Server) -> None:
        self.most = 0
        self._of = of
        self._looks: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.most = max(self._looks, default=0)
        self.mean = sum(self._looks) / max(1, len(self._looks))

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self._looks.append(self._of.connections())


def run(options: argparse.Namespace, found: Server, workers: int, trials: int) -> dict[str, Any]:
    """Let workers run trials; return what was measured."""
    n_processes = min(options.processes, workers)
    shares = [workers // n_processes + (index < workers % n_processes) for index in range(n_processes)]
    given = ["--storage", found.url, "--trials", str(trials), "--sampler", options.sampler]
    given += ["--pruner", options.pruner, "--epochs", str(options.epochs), "--faster", str(options.faster)]
    given += ["--seconds", str(options.seconds), "--sigma", str(options.sigma), "--ramp", str(options.ramp)]
    given += [] if options.timeout is None else ["--timeout", str(options.timeout)]
    with Watch(found) as watch, _clients(shares, given) as clients:
        for client in clients:
            assert client.stdout is not None  # noqa: S101 (for the type checker)
            if client.stdout.readline() != b"ready\n":
                sys.exit("A process of workers has ended.")
        found.forget_statements()
        used, began = found.processors(), time.perf_counter()
        for client in clients:
            assert client.stdin is not None  # noqa: S101 (for the type checker)
            client.stdin.write(b"\n")
            client.stdin.flush()
        reports = [json.loads(client.communicate()[0]) for client in clients]
        elapsed = time.perf_counter() - began
        used = found.processors() - used
    seconds = {
        kind: [taken for report in reports for one in report["seconds"] for taken in one.get(kind, ())]
        for kind in _KINDS
    }
    return {
        "elapsed": elapsed,
        "server": used,
        "clients": sum(report["processors"] for report in reports),
        "statements": found.statements(),
        "seconds": seconds,
        "counts": sum(sum(report["counts"]) for report in reports),
        "errors": [error for report in reports for error in report["errors"]],
        "connections": (watch.most, watch.mean),
        "slowest first": max(
            (sum(one.get("ask", [0.0])[:1]) for report in reports for one in report["seconds"]), default=0.0
        ),
    }


@contextmanager
def _clients(shares: Sequence[int], given: Sequence[str]) -> Iterator[list["subprocess.Popen[bytes]"]]:
    clients = [
        subprocess.Popen(
            [sys.executable, str(_CLIENTS), *given, "--workers", str(share), "--process", str(index)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for index, share in enumerate(shares)
    ]
    try:
        yield clients
    finally:
        for client in clients:
            client.kill()
            client.wait()


def prepare(found: Server, filling: Filling) -> None:
    """A new study with these trials, and no other one."""
    for name in [row[0] for row in found.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]:
        found.ask(f'TRUNCATE TABLE "{name}" CASCADE') if name not in {
            "alembic_version",
            "version_info",
        } else None
    with closing_storage(open_storage(found.url, Path())) as storage:
        study = open_study(storage, "scale", space().definition(), ["maximize"])
        fill(found.engine, study_id(study), space().dimensions, filling)


def capacity(options: argparse.Namespace) -> int:
    """Print the most trials per second for each number of running and finished trials."""
    sys.stdout.write(
        f"{options.workers} workers ask, {options.sampler}\n"
        "running finished | trials/s | ask p50 p99 ms | tell p50 ms | statements/trial | server, clients ms/trial\n"
    )
    with server(options.max_connections) as found:
        for running in options.running or (10, 100, 1000):
            for finished in options.finished:
                prepare(found, Filling(finished, running, options.filled_epochs))
                got = run(options, found, options.workers, 1_000_000)
                _refuse_errors(got)
                n, ask = max(1, got["counts"]), got["seconds"]["ask"]
                sys.stdout.write(
                    f"{running:7} {finished:8} | {n / got['elapsed']:8.2f} | {_ms(ask, 50)} {_ms(ask, 99)} "
                    f"| {_ms(got['seconds']['tell'], 50)} | {got['statements'] / n:6.0f} "
                    f"| {1000 * got['server'] / n:6.0f} {1000 * got['clients'] / n:6.0f} "
                    f"| first read {quantile(got['seconds']['first read'], 50):.2f} s\n"
                )
                sys.stdout.flush()
                _say_costly(options, found)
    return 0


def many(options: argparse.Namespace) -> int:
    """Run many workers to the end of their budget; the exit code is 1 if it is not exact."""
    with server(options.max_connections) as found:
        others = 0 if options.running is None else options.running[0]
        prepare(found, Filling(options.finished[0], others, options.filled_epochs))
        total = options.trials + options.finished[0] + others
        began = psutil.cpu_times()
        got = run(options, found, options.workers, total)
        ended = psutil.cpu_times()
        _refuse_errors(got)
        with closing_storage(open_storage(found.url, Path())) as storage:
            trials = join_study(storage, "scale").get_trials(deepcopy=False)
        states = Counter(trial.state.name for trial in trials)
        numbers = [trial.number for trial in trials]
        done = states["COMPLETE"] + states["PRUNED"]
        exact = numbers == list(range(total)) and done == total - others and states["RUNNING"] == others
        n = max(1, options.trials)
        idle = (ended.idle - began.idle) / (psutil.cpu_count() or 1) / got["elapsed"]
        sys.stdout.write(
            f"{options.workers} workers, {n} trials of {options.seconds:g} s with {options.epochs} reports, "
            f"{options.sampler}, {options.pruner}, after {options.finished[0]} others, beside {others} that run elsewhere\n"
            f"budget {'exact' if exact else 'NOT EXACT'}: {dict(states)}, told by workers {got['counts']}\n"
            f"{got['elapsed']:.0f} s, {n / got['elapsed']:.2f} trials a second; processors idle {100 * idle:.0f} %\n"
            f"slowest first ask {got['slowest first']:.1f} s\n"
        )
        for kind, taken in got["seconds"].items():
            if taken:
                sys.stdout.write(
                    f"  {kind:10} {len(taken):7} times, p50 {_ms(taken, 50)} p99 {_ms(taken, 99)} ms\n"
                )
        most, mean = got["connections"]
        sys.stdout.write(
            f"connections {most} at most, {mean:.1f} on average; {got['statements'] / n:.0f} statements a trial; "
            f"server {1000 * got['server'] / n:.0f} ms and clients {1000 * got['clients'] / n:.0f} ms of processors a trial\n"
        )
        _say_costly(options, found)
    return int(not exact)


def _refuse_errors(got: dict[str, Any]) -> None:
    if got["errors"]:
        sys.exit(f"{len(got['errors'])} workers failed: {got['errors'][0]}")


def _say_costly(options: argparse.Namespace, found: Server) -> None:
    for calls, seconds, query in found.costly() if options.queries else ():
        sys.stdout.write(f"      {calls:8} calls {seconds:8.2f} s  {query}\n")


def _ms(seconds: Sequence[float], percent: float) -> str:
    return f"{1000 * quantile(seconds, percent):7.0f}" if seconds else f"{math.nan:7}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("capacity", "workers"))
    parser.add_argument("--workers", type=int, default=4, help="workers that ask, or that run trials")
    parser.add_argument("--running", type=int, nargs="+", help="trials of others")
    parser.add_argument(
        "--finished", type=int, nargs="+", default=[0], help="trials that are complete before"
    )
    parser.add_argument("--sampler", choices=("tpe", "random"), default="tpe")
    parser.add_argument("--pruner", default="NopPruner", help="a class of optuna.pruners")
    parser.add_argument("--trials", type=int, default=3000, help="of all workers together")
    parser.add_argument("--seconds", type=float, default=0.0, help="mean duration of a trial")
    parser.add_argument("--sigma", type=float, default=0.5, help="of the log-normal durations")
    parser.add_argument("--epochs", type=int, default=0, help="reports of a trial")
    parser.add_argument(
        "--filled-epochs", type=int, default=10, help="reports of each trial that is there before"
    )
    parser.add_argument("--timeout", type=float, help="seconds after which no trial is started")
    parser.add_argument(
        "--faster", type=float, default=1.0, help="signs of life come so many times more often"
    )
    parser.add_argument("--ramp", type=float, default=0.0, help="seconds within which the workers begin")
    parser.add_argument("--processes", type=int, default=4, help="that the workers are threads of")
    parser.add_argument("--max-connections", type=int, default=100, help="of the server")
    parser.add_argument("--queries", action="store_true", help="show the most expensive statements")
    options = parser.parse_args(arguments)
    return capacity(options) if options.what == "capacity" else many(options)


if __name__ == "__main__":
    sys.exit(main())
