"""Reading a study from MLflow: its run, the runs of its trials, and those of their repeats."""

import datetime as dt
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowersweep.errors import TrackingError
from flowersweep.fields import VALIDATED
from flowersweep.process import HOST_TAG
from flowersweep.ranking.standings import SEED
from flowersweep.redaction import redacted
from flowersweep.report.evidence import Curve, Goal, State, Study, Training, Trial
from flowersweep.tracking.lookup import Files
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.rules import SEARCHED, key_of, searched_key
from flowersweep.tracking.run import GOAL, NOTE, PICTURES, PROGRAM, REPORTED
from flowersweep.tracking.selection import children_of, experiment_of, study_name, trials_of
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from optuna.distributions import BaseDistribution

# The distribution of each searched key; None if it was not recorded.
Searched = Mapping[str, "BaseDistribution | None"]

# The metrics that are drawn over epochs, in addition to the goal's; the seconds give the duration of trainings that were not completed.
CURVES = ("val_accuracy", "val_loss", "learning_rate", "seconds")
DISTRIBUTIONS = "study/distributions.json"

_STATES = {"COMPLETE": State.COMPLETE, "PRUNED": State.PRUNED, "FAIL": State.FAILED}
_STATUSES = {"FINISHED": State.COMPLETE, "FAILED": State.FAILED, "KILLED": State.STOPPED}
# What the texts of equal lists and mappings may differ in.
_SPELLING = re.compile(r"""[\s()\[\]{}'"]""")
# Studies from before the tag state their goals at the top of their description.
_GOAL_IN_NOTE = re.compile(r"\*\*: ((?:maximize|minimize) .*?); \d+ of \d+ trials done")


def read_study(store: Store, run: "Run") -> Study:
    """Read all data of the page.

    Args:
        store: The store of the study.
        run: The run of the study.

    Raises:
        TrackingError: The goals are not recorded, or something cannot be read.
    """
    files = Files(store, run.info.run_id)
    rows = {row["trial"]: row for row in json.loads(files.text("study/leaderboard.json") or "[]")}
    keys = dict.fromkeys(key for row in rows.values() for key in row["params"])
    distributions = _distributions(files)
    searched: Searched = {**keys, **distributions}
    runs = trials_of(store, run)
    program = run.data.tags.get(PROGRAM, "")
    found = [_trial(store, one, rows.get(int(one.data.tags["trial"])), searched, program) for one in runs]
    known = {trial.number for trial in found}
    lost = [_without_run(row) for number, row in rows.items() if number not in known]
    trials = tuple(sorted([*found, *lost], key=lambda trial: trial.number))
    return Study(
        name=study_name(run),
        run_id=run.info.run_id,
        experiment=experiment_of(store, run),
        status=run.info.status,
        began=_moment(run.info.start_time) or dt.datetime.now(dt.UTC),
        ended=None if run.info.status == "RUNNING" else _moment(run.info.end_time),
        command=_command(files),
        goals=_goals(run),
        trials=trials,
        class_names=_class_names(store, trials),
        distributions=distributions,
        program=program,
    )


def _distributions(files: Files) -> dict[str, "BaseDistribution"]:
    from optuna.distributions import json_to_distribution

    found = json.loads(files.text(DISTRIBUTIONS) or "{}")
    return {key: json_to_distribution(json.dumps(one)) for key, one in found.items()}


def _goals(run: "Run") -> tuple[Goal, ...]:
    told = run.data.tags.get(GOAL)
    if told is None and (found := _GOAL_IN_NOTE.search(run.data.tags.get(NOTE, ""))):
        told = found.group(1)
    if told is None:
        raise TrackingError(
            f"The study {study_name(run)!r} does not record its goals; run the command of its sweep again to record them "
            "in MLflow. Finished trials are not trained again."
        )
    parts = (part.partition(" ") for part in told.split(", "))
    return tuple(Goal(metric, maximize=direction == "maximize") for direction, _, metric in parts)


def _command(files: Files) -> str:
    typed = files.text("study/command.txt")
    if typed is None:
        overrides = (files.text("study/overrides.txt") or "").splitlines()
        typed = (
            " ".join(["python -m flowersweep --multirun", *map(shlex.quote, overrides)]) if overrides else ""
        )
    return redacted(typed.strip())


def _trial(
    store: Store, run: "Run", row: Mapping[str, Any] | None, searched: Searched, program: str
) -> Trial:
    tags = run.data.tags
    taken_from = int(tags["taken_from"]) if "taken_from" in tags else None
    runs = _repeats(store, run) if "n_repeats" in tags else [run] if taken_from is None else []
    n_trained = int(tags.get("n_repeats", 1)) if taken_from is None else 0
    trainings = [_other_training(store, one) if program else _training(store, one) for one in runs]
    host, state = tags.get(HOST_TAG, ""), _state(run, row)
    return Trial(
        number=int(tags["trial"]),
        state=state,
        params=row["params"] if row else _params(run, searched),
        run_id=run.info.run_id,
        trainings=tuple(sorted(trainings, key=lambda training: training.seed)),
        began=_moment(run.info.start_time),
        ended=_moment(run.info.end_time),
        worker=f"{host}:{tags['worker']}" if "worker" in tags else "",
        reason=str(row["reason"]) if row else tags.get("failure", ""),
        taken_from=taken_from,
        values=tuple(row["values"]) if row else (),
        n_lost=max(n_trained - len(runs), 0) if state is State.COMPLETE else 0,
    )


def _without_run(row: Mapping[str, Any]) -> Trial:
    """A trial of the leaderboard without a run in MLflow: the run was deleted, or the trial failed before it had one."""
    state = _STATES[row["state"]]
    return Trial(
        number=row["trial"],
        state=state,
        params=row["params"],
        run_id=row["run_id"] or "",
        reason=str(row["reason"]),
        values=tuple(row["values"]),
        n_lost=int(state is State.COMPLETE),
    )


def _state(run: "Run", row: Mapping[str, Any] | None) -> State:
    """The state in the leaderboard; a trial that is not yet in it has the state of its run."""
    if row is not None:
        return _STATES[row["state"]]
    if run.data.tags.get("trial.state") == "PRUNED":
        return State.PRUNED
    return _STATUSES.get(run.info.status, State.RUNNING)


def _params(run: "Run", searched: Searched) -> dict[str, Any]:
    """The searched values of a trial that is not in the leaderboard, as far as its run records them."""
    recorded = run.data.params
    # A number that was not searched in this trial has a param too, but no metric.
    words = [key for key, distribution in searched.items() if _in_words(distribution)]
    texts = {key: recorded.get(f"{key}.name", recorded.get(key_of(key))) for key in words}
    names = {searched_key(key): key for key in searched}
    numbers = {
        names.get(key, key.removeprefix(SEARCHED)): value
        for key, value in run.data.metrics.items()
        if key.startswith(SEARCHED)
    }
    found = {**{key: text for key, text in texts.items() if text is not None}, **numbers}
    return {key: _value(told, searched.get(key)) for key, told in found.items()}


def _in_words(distribution: "BaseDistribution | None") -> bool:
    choices = getattr(distribution, "choices", ())
    return distribution is None or any(
        isinstance(one, bool) or not isinstance(one, int | float) for one in choices
    )


def _value(told: str | float, distribution: "BaseDistribution | None") -> Any:
    """A value as the study has it: MLflow has each number as a float, and anything else as text."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return next((one for one in distribution.choices if _is_told(one, told)), told)
    return int(told) if isinstance(distribution, IntDistribution) else told


def _is_told(choice: object, told: str | float) -> bool:
    if isinstance(told, float):
        return isinstance(choice, int | float) and not isinstance(choice, bool) and choice == told
    # A study has lists and mappings as texts in Hydra's spelling.
    return _SPELLING.sub("", str(choice)).lower() == _SPELLING.sub("", told).lower()


def _repeats(store: Store, run: "Run") -> list["Run"]:
    found = [child for child in children_of(store, run) if child.data.tags.get("kind") == "repeat"]
    return list({child.data.tags["repeat"]: child for child in found}.values())


def _training(store: Store, run: "Run") -> Training:
    metrics = {key: float(value) for key, value in run.data.metrics.items()}
    objective = run.data.tags.get("objective", "").rpartition("/")[2]
    curves = {*CURVES, *({objective} & {*VALIDATED})}
    return Training(
        run_id=run.info.run_id,
        seed=int(run.data.params.get("seed", run.data.tags.get("repeat", 0))),
        metrics=metrics,
        curves={key: _curve(store, run.info.run_id, key) for key in curves if key in metrics},
        settings=dict(run.data.params),
        tags=dict(run.data.tags),
        n_validation=_n_validation(run),
    )


def _other_training(store: Store, run: "Run") -> Training:
    """A run of another program, of which only the reported values, the objectives and the time are known."""
    metrics = {key: float(value) for key, value in run.data.metrics.items()}
    seed = run.data.params.get(SEED, "")
    reported = _curve(store, run.info.run_id, REPORTED) if REPORTED in metrics else ()
    ended = run.info.end_time or run.info.start_time
    measured = {"total/epochs": float(len(reported)), "total/seconds": (ended - run.info.start_time) / 1000}
    return Training(
        run_id=run.info.run_id,
        seed=int(seed) if re.fullmatch(r"-?\d+", seed) else 0,
        metrics={**measured, **metrics},
        curves={REPORTED: reported},
        settings=dict(run.data.params),
        tags=dict(run.data.tags),
    )


def _n_validation(run: "Run") -> int | None:
    if (told := run.data.tags.get(f"{PICTURES}validation")) is not None:
        return int(told)
    # Runs from before the tag. The number may be that of another run; the accuracies then do not fit it.
    used = run.inputs.dataset_inputs if run.inputs else []
    found = json.loads(used[0].dataset.profile or "{}").get("validation") if used else None
    return None if found is None else int(found)


def _curve(store: Store, run_id: str, key: str) -> Curve:
    with translated(f"read {key} of run {run_id}"):
        points = client(store.uri).get_metric_history(run_id, key)
    return tuple(sorted({point.step: float(point.value) for point in points}.items()))


def _class_names(store: Store, trials: Sequence[Trial]) -> tuple[str, ...]:
    for trial in trials:
        for training in trial.trainings:
            text = Files(store, training.run_id).text("labels.json")
            if text is not None:
                return tuple(map(str, json.loads(text)))
    return ()


def _moment(milliseconds: int | None) -> dt.datetime | None:
    return None if milliseconds is None else dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
