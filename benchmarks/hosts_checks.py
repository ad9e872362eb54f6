"""What must hold for a study of several machines, whatever happened to them.

    python benchmarks/hosts_checks.py watch FILE STORAGE STUDY
    python benchmarks/hosts_checks.py results FILE STORAGE STUDY TRACKING_URI
    python benchmarks/hosts_checks.py hold FILE STORAGE [SECONDS]

write the state of a study to a file, again and again, or once with its runs, which `report` checks; and hold the lock of the
studies.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PER_EPOCH = "val_accuracy"


def read(storage: str, study: str) -> dict[str, Any]:
    """The trials of a study."""
    from flowersweep import process
    from flowersweep.sweep.storage.storage import closing_storage, open_storage
    from flowersweep.sweep.study.attributes import HEARTBEAT, LOST, OWNER, RUN_ID
    from flowersweep.sweep.study.study import existing_study

    with closing_storage(open_storage(storage, Path())) as opened:
        try:
            found = existing_study(opened, study)
        except Exception:  # noqa: BLE001 (it was not started yet)
            return {"trials": [], "parent": None}
        trials = []
        for trial in found.trials:
            owner = trial.user_attrs.get(OWNER) or {}
            trials.append(
                {
                    "number": trial.number,
                    "state": trial.state.name,
                    "value": trial.value,
                    "boot": (owner.get(process.START_TAG) or " ").split(" ")[0] or None,
                    "pid": owner.get(process.PID_TAG),
                    "epoch": max(trial.intermediate_values, default=0),
                    "lost": trial.user_attrs.get(LOST, 0),
                    "heartbeat": trial.user_attrs.get(HEARTBEAT),
                    "run": trial.user_attrs.get(RUN_ID),
                }
            )
        return {"trials": trials, "parent": found.user_attrs.get("mlflow_parent_run_id")}


def runs_of(uri: str) -> list[dict[str, Any]]:
    """All runs of an MLflow server."""
    from flowersweep.tracking.mlflow_api import client

    store = client(uri)
    experiments = [one.experiment_id for one in store.search_experiments()]
    runs = []
    for run in store.search_runs(experiments, max_results=5000):
        history = store.get_metric_history(run.info.run_id, PER_EPOCH)
        runs.append(
            {
                "id": run.info.run_id,
                "status": run.info.status,
                "tags": dict(run.data.tags),
                "metrics": dict(run.data.metrics),
                "steps": [point.step for point in history],
            }
        )
    return runs


def report(
    state: Mapping[str, Any], n_trials: int, machine_of: Callable[[str | None], str], taken: Collection[int]
) -> int:
    """Print a table of the trials and one of the checks; return how many of them fail.

    Args:
        state: Of `read` and `runs_of`.
        n_trials: The budget.
        machine_of: The name of a machine by its boot.
        taken: The trials that were taken from a machine.
    """
    trials, runs = state["trials"], {run["id"]: run for run in state["runs"]}
    sys.stdout.write("\ntrial  state     value   machine  lost  run       epochs  went on\n")
    attempts = [run for run in state["runs"] if run["tags"].get("kind") == "trial"]
    for trial in trials:
        run = runs.get(trial["run"], {"status": "-", "tags": {}, "steps": []})
        note = run["tags"].get("resumed") or run["tags"].get("restarted") or ""
        sys.stdout.write(
            f"{trial['number']:5}  {trial['state']:8}  {trial['value'] or 0:.4f}  {machine_of(trial['boot']):7}  {trial['lost']:4}"
            f"  {run['status']:8}  {len(set(run['steps'])):6}  {note}\n"
        )
    others = [run for run in attempts if run["id"] not in {trial["run"] for trial in trials}]
    for run in others:
        sys.stdout.write(
            f"       another run of trial {run['tags']['trial']}: {run['status']}, epochs "
            f"{len(set(run['steps']))}; {run['tags'].get('flowersweep.closed_because') or run['tags'].get('failure', '')}\n"
        )
    checks = _checks(state, attempts, n_trials, taken)
    sys.stdout.write("\n")
    for name, problems in checks.items():
        sys.stdout.write(
            f"{'ok   ' if not problems else 'WRONG'}  {name}{': ' if problems else ''}{'; '.join(problems)}\n"
        )
    return sum(bool(problems) for problems in checks.values())


def _checks(
    state: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], n_trials: int, taken: Collection[int]
) -> dict[str, list[str]]:
    trials, runs = state["trials"], {run["id"]: run for run in state["runs"]}
    states = Counter(trial["state"] for trial in trials)
    parents = Counter(run["tags"].get("mlflow.parentRunId") for run in attempts)
    finished = Counter(run["tags"]["trial"] for run in attempts if run["status"] == "FINISHED")
    twice = [
        f"run {run['id']} has epochs {sorted(step for step, count in Counter(run['steps']).items() if count > 1)}"
        for run in state["runs"]
        if len(run["steps"]) > len(set(run["steps"]))
    ]
    gaps, unlike = [], []
    for trial in trials:
        run = runs.get(trial["run"])
        if run is None or run["status"] != "FINISHED":
            unlike.append(f"trial {trial['number']} is {trial['state']}, its run {run and run['status']}")
            continue
        if abs(run["metrics"].get("best/val_accuracy", -1) - trial["value"]) > 1e-9:
            unlike.append(f"trial {trial['number']} has another value than its run")
        if sorted(set(run["steps"])) != list(range(1, round(run["metrics"]["total/epochs"]) + 1)):
            gaps.append(f"run {run['id']} has epochs {sorted(set(run['steps']))}")
    gone_on = [
        f"trial {number} does not say how it went on"
        for number in taken
        if not {"resumed", "restarted"} & runs.get(trials[number]["run"], {"tags": {}})["tags"].keys()
    ]
    parent = runs.get(state["parent"], {"status": None, "tags": {}})
    return {
        f"{n_trials} trials, all COMPLETE, none twice": []
        if states == {"COMPLETE": n_trials} and [one["number"] for one in trials] == list(range(n_trials))
        else [str(dict(states))],
        "each trial has one finished run with its value": unlike,
        "no trial was trained to its end twice": [
            f"trial {one}" for one, count in finished.items() if count > 1
        ],
        "all runs are under the study's run": []
        if set(parents) == {state["parent"]}
        else [str(dict(parents))],
        "no run is RUNNING": [f"run {run['id']}" for run in state["runs"] if run["status"] == "RUNNING"],
        "each epoch is in its run": gaps,
        "no run has an epoch twice": twice,
        "the trials of lost machines say how they went on": gone_on,
        "the study's run is finished": [] if parent["status"] == "FINISHED" else [str(parent["status"])],
        "the best model, from the server, is as good on c": []
        if state["evaluated"] is not None and abs(state["evaluated"] - state["best"]) < 1e-6
        else [f"{state['evaluated']} instead of {state['best']}"],
    }


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Replace a file that is read at the same time."""
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(state), encoding="utf-8")
    draft.replace(path)


def hold(storage: str, path: Path, seconds: float) -> None:
    """Hold the lock of the studies; a file appears meanwhile."""
    from flowersweep.sweep.storage.lock import locked
    from flowersweep.sweep.storage.patience import patience
    from flowersweep.sweep.storage.storage import open_storage

    def step() -> None:
        path.touch()
        time.sleep(seconds)

    with patience(600):
        locked(open_storage(storage, Path()), step)


def main(what: str, file: str, storage: str, *others: str) -> None:
    """See above."""
    if what == "hold":
        hold(storage, Path(file), *map(float, others or ["3600"]))
    elif what == "results":
        write(Path(file), {**read(storage, others[0]), "runs": runs_of(others[1])})
    else:
        while True:
            with suppress(Exception):  # the database may be away
                write(Path(file), read(storage, others[0]))
            time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
