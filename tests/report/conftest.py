"""Studies in a real store, written as a sweep writes them but without training anything."""

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    distribution_to_json,
)

from flowersweep.figures.predictions import predictions_table
from flowersweep.sweep.workers.recorder import searched_numbers
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.rules import key_of
from flowersweep.tracking.run import PICTURES, RunStatus
from flowersweep.tracking.store.store import Store, prepare_store

FLOWERS = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
NASTY = '</script><img src=x onerror="alert(1)"> & $x_1$ <b>{{ 7 * 7 }}</b>'
COMPLETE, PRUNED, FAIL = "COMPLETE", "PRUNED", "FAIL"


@dataclass
class Writer:
    """Writes one study."""

    store: Store
    name: str
    goal: str = "maximize best/val_accuracy"
    data: str = "demo"
    n_validation: int | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tags = {"study": self.name, "kind": "study", "study.goal": self.goal}
        self.tracker = MLflowTracker.start(self.store, "flowers", self.name, tags=tags)

    def trial(
        self,
        number: int,
        params: Mapping[str, Any],
        values: Mapping[int, Mapping[str, float]],
        *,
        state: str = COMPLETE,
        listed: bool = True,
        repeated: bool = False,
        files: bool = False,
        reason: str = "",
        ended: RunStatus | None = None,
    ) -> str:
        """Write a trial with the metrics of each of its seeds; return the id of its run."""
        kind = {"study": self.name, "kind": "trial", "trial": number, "attempt": 0, "worker": 7}
        own = {"n_repeats": len(values)} if repeated else {}
        trial = MLflowTracker.start(
            self.store,
            "flowers",
            f"trial-{number:04d}",
            parent_run_id=self.tracker.run_id,
            tags={**kind, **own},
        )
        for repeat, (seed, metrics) in enumerate(values.items()):
            run = trial
            if repeated:
                tags = {**kind, "kind": "repeat", "repeat": repeat}
                run = MLflowTracker.start(self.store, "flowers", "r", parent_run_id=trial.run_id, tags=tags)
            self._training(run, params, seed, metrics, files=files)
            if repeated:
                run.end(RunStatus.FINISHED)
        trial.end(
            ended
            or (RunStatus.FAILED if state == FAIL else RunStatus.FINISHED if listed else RunStatus.KILLED)
        )
        if listed:
            metric = self.goal.split(", ", maxsplit=1)[0].split()[1]
            found = [one[metric] for one in values.values() if metric in one]
            row = {"trial": number, "state": state, "params": dict(params), "reason": reason}
            told = [statistics.mean(found)] if found else []
            self.rows.append({**row, "run_id": trial.run_id, "values": told, "epochs": 2, "seconds": 1.0})
        return trial.run_id

    def _training(
        self,
        run: MLflowTracker,
        params: Mapping[str, Any],
        seed: int,
        metrics: Mapping[str, float],
        *,
        files: bool,
    ) -> None:
        augmentation = str(params.get("aug", "none"))
        run.tags({"data": self.data, "model": "cnn", "augmentation": augmentation})
        run.params({"seed": seed, "model.name": "cnn", "aug.name": augmentation})
        run.params({key_of(key): value for key, value in params.items() if key not in {"seed", "aug"}})
        run.metrics(searched_numbers(params))
        for epoch in (1, 2):
            quality = {"val_accuracy": 0.25 * epoch, "val_loss": 1.5 / epoch}
            run.metrics({**quality, "learning_rate": 0.01 / epoch, "seconds": 0.75}, step=epoch)
        run.metrics(metrics)
        if files:
            self._files(run)
        if self.n_validation is not None:
            run.tags({f"{PICTURES}validation": self.n_validation})
            # Of the same pictures as in other studies, which divide them otherwise: MLflow keeps the profile it got first.
            profile = {"validation": self.n_validation}
            run.dataset(
                "demo", digest="f00d", source="/data", context="training, validation", profile=profile
            )

    def _files(self, run: MLflowTracker) -> None:
        labels, chances = np.arange(10) % 5, np.eye(5)[np.arange(10) % 5] * 0.6 + 0.08
        chances[3] = (0.9, 0.025, 0.025, 0.025, 0.025)
        names = [f"{FLOWERS[label]}/{index}.jpg" for index, label in enumerate(labels)]
        run.text(predictions_table(names, labels, chances, FLOWERS), "validation_predictions.csv")
        run.text(
            "epoch,val_accuracy,recall/daisy,recall/roses\n1,0.25,0.5,nan\n2,0.5,0.75,nan\n", "history.csv"
        )
        run.json(list(FLOWERS), "labels.json")
        run.text(
            "seed: 0\ntracking:\n  uri: postgresql://me:secret@host/x\n  dir: /home/of-mine\n",
            "config/config.yaml",
        )
        run.text("model=cnn\naug=RandomZoom\n", "config/overrides.txt")
        run.json(
            {"git.commit": "abc", "version.keras": "3.15.1", "host.name": "host-of-mine"},
            "config/provenance.json",
        )
        run.image(np.zeros((4, 6, 3), np.uint8), "confident_mistakes.png")
        profile = {"pictures": 50, "training": 30, "validation": 10, "test": 10}
        run.dataset(
            "demo", digest="f00d", source="/data", context="training, validation, test", profile=profile
        )

    def end(self, status: RunStatus = RunStatus.FINISHED) -> str:
        """Write what the study's own run has; return its id."""
        self.tracker.text(json.dumps(self.rows), "study/leaderboard.json")
        if self.distributions:
            known = {key: json.loads(distribution_to_json(one)) for key, one in self.distributions.items()}
            self.tracker.json(known, "study/distributions.json")
        self.tracker.text("python -m flowersweep --multirun aug=none\n", "study/command.txt")
        self.tracker.end(status)
        return self.tracker.run_id


def quality(value: float, **others: float) -> dict[str, float]:
    """The metrics that every finished training logs once."""
    return {"best/val_accuracy": value, "total/epochs": 2.0, "total/seconds": 1.5, **others}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store in which all studies here are."""
    return prepare_store(tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="session")
def new_study(store: Store) -> Callable[..., Writer]:
    """Begins a study in the store."""
    return partial(Writer, store)


@pytest.fixture(scope="session")
def repeated(store: Store) -> str:
    """A grid of five augmentations with three seeds each: three that overlap, two that are far below."""
    writer = Writer(store, "repeated", data="flower_photos")
    values = {
        "RandomZoom": (0.70, 0.72, 0.71),
        "RandomFlip": (0.71, 0.69, 0.72),
        "none": (0.69, 0.72, 0.70),
        "RandomTranslation_prob": (0.40, 0.42, 0.411),
        "RandomTranslation": (0.30, 0.32, 0.312),
    }
    for number, (name, found) in enumerate(values.items()):
        metrics = {
            seed: quality(value, **{"test/accuracy": value - 0.05}) for seed, value in enumerate(found)
        }
        writer.trial(number, {"aug": name}, metrics, repeated=True, files=number == 0)
    writer.end()
    return writer.name


@pytest.fixture(scope="session")
def counted(store: Store) -> str:
    """Two augmentations with two seeds each, apart by one of 734 pictures in both, as Keras logs accuracies."""
    writer = Writer(store, "counted", n_validation=734)
    for number, (name, counts) in enumerate({"RandomFlip": (640, 642), "none": (639, 641)}.items()):
        metrics = {seed: quality(float(np.float32(count / 734))) for seed, count in enumerate(counts)}
        writer.trial(number, {"aug": name}, metrics, repeated=True)
    writer.end()
    return writer.name


@pytest.fixture(scope="session")
def searched(store: Store) -> str:
    """One run each of a search with a conditional key, strange names, and trials that ended in every way."""
    distributions: dict[str, BaseDistribution] = {
        "optimizer.learning_rate": FloatDistribution(1e-10, 1.0, log=True),
        "aug": CategoricalDistribution((NASTY, "x")),
        "optimizer.momentum": FloatDistribution(0.0, 1.0),
    }
    writer = Writer(store, NASTY, distributions=distributions)
    for number in range(10):
        params: dict[str, Any] = {
            "optimizer.learning_rate": 10.0 ** (number - 10),
            "aug": NASTY if number % 2 else "x",
        }
        if number % 2:
            params["optimizer.momentum"] = number / 10
        writer.trial(number, params, {0: quality(0.5 + 0.03 * number)})
    rest = {"optimizer.learning_rate": 0.5, "aug": "x"}
    writer.trial(10, rest, {0: {"best/val_accuracy": 0.9}}, state=PRUNED)
    writer.trial(11, rest, {0: {}}, state=FAIL, reason=f"ValueError: {NASTY}")
    writer.trial(12, rest, {0: {}}, listed=False)
    writer.end()
    return writer.name


@pytest.fixture(scope="session")
def front(store: Store) -> str:
    """Three trials with two goals; the last is beaten in both."""
    writer = Writer(store, "front", goal="maximize best/val_accuracy, minimize model/parameters")
    for number, (value, size) in enumerate(((0.8, 900.0), (0.6, 100.0), (0.5, 950.0))):
        writer.trial(number, {"model.dense_units": number}, {0: quality(value, **{"model/parameters": size})})
    writer.end()
    return writer.name


@pytest.fixture(scope="session")
def lost(store: Store) -> str:
    """A study of which nothing came: one trial failed, one was pruned."""
    writer = Writer(store, "lost")
    writer.trial(0, {"aug": "a"}, {0: {}}, state=FAIL, reason="MemoryError")
    writer.trial(1, {"aug": "b"}, {0: {"best/val_accuracy": 0.1}}, state=PRUNED)
    writer.end(RunStatus.FAILED)
    return writer.name


@pytest.fixture(scope="session")
def incomplete(store: Store) -> str:
    """Three trials of which the best one's run was deleted, one that failed before it had a run, and one repeat less."""
    writer = Writer(store, "incomplete")
    service = client(store.uri)
    service.delete_run(writer.trial(0, {"aug": "a"}, {0: quality(0.9)}))
    writer.trial(1, {"aug": "b"}, {0: quality(0.7)})
    trial = writer.trial(2, {"aug": "c"}, {0: quality(0.5), 1: quality(0.6)}, repeated=True)
    found = service.search_runs(
        [service.get_run(trial).info.experiment_id], f"tags.`mlflow.parentRunId` = '{trial}'"
    )
    service.delete_run(found[0].info.run_id)
    row = {"trial": 3, "state": FAIL, "params": {"aug": "d"}, "reason": "it died", "run_id": None}
    writer.rows.append({**row, "values": [], "epochs": 0, "seconds": None})
    writer.end()
    return writer.name


@pytest.fixture(scope="session")
def single(store: Store) -> str:
    """A study of one trial, without any file of its run."""
    writer = Writer(store, "single", goal="minimize best/val_loss")
    writer.trial(0, {}, {3: quality(0.5, **{"best/val_loss": 0.75})})
    writer.end()
    return writer.name


@pytest.fixture(scope="session")
def untouched(store: Store) -> str:
    """A study without a trial."""
    writer = Writer(store, "untouched")
    writer.end(RunStatus.KILLED)
    return writer.name
