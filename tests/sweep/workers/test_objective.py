"""A trial's training: what is reported, what it returns, and by what its runs are found."""

import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowersweep.config import Config
from flowersweep.errors import DataError, Pruned
from flowersweep.interrupt import Interrupted
from flowersweep.sweep.study.content import Content, place_of
from flowersweep.sweep.workers.objective import _started_or_resumed, own_fold, run_trial
from flowersweep.sweep.workers.recorder import searched_numbers, tags_of
from flowersweep.sweep.workers.trial import RunningTrial
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import prepare_store
from flowersweep.training.checkpoint.run_checkpoint import RunCheckpoint

MakeConfig = Callable[..., Config]
TINY = (
    "model.filters=[4]",
    "model.dense_units=4",
    "trainer.image_size=16",
    "tracking.log_model=false",
    "tracking.log_figures=false",
)


class Study:
    """Takes what a trial says, as a worker would."""

    def __init__(self, prune_after: int | None = None, *, parent: str | None = None, number: int = 7) -> None:
        self.reports: list[tuple[int, float]] = []
        self.attrs: dict[str, Any] = {}
        self.prune_after = prune_after
        self.trial = RunningTrial(
            number,
            "s",
            {"optimizer.learning_rate": 0.5, "aug": "none"},
            parent_run_id=parent,
            _report=self.report,
            _keep=self.attrs.update,
        )

    def report(self, step: int, value: float) -> bool:
        """Take a value; say whether to prune."""
        self.reports.append((step, value))
        return step == self.prune_after

    def run(self, config: Config) -> Any:
        """The MLflow run of the trial."""
        return client(prepare_store(Path(config.tracking.dir)).uri).get_run(self.attrs["mlflow_run_id"])


def test_tags() -> None:
    """Runs are found by study, trial and attempt."""
    trial = RunningTrial(7, "s", {}, attempt=2)
    assert tags_of(trial) == {"study": "s", "kind": "trial", "trial": 7, "attempt": 2, "worker": os.getppid()}


def test_searched_numbers() -> None:
    """Numbers can be sorted as metrics; texts and truth values are params only."""
    params = {"a.b": 1, "c": 2.5, "d": True, "e": "x", "f": None}
    assert searched_numbers(params) == {"searched/a.b": 1.0, "searched/c": 2.5}


def test_a_repeat_can_be_trained_alone(make_config: MakeConfig) -> None:
    """Its fold is among its overrides, unless it was given for all repeats; without folds there is none."""
    folds = ["data.split=stratified", "data.folds=3"]
    config = make_config(*folds)
    third = replace(config, data=replace(config.data, fold=2))
    assert own_fold(third, folds) == ["data.fold=2"]
    assert own_fold(third, [*folds, "+data.fold=2"]) == []
    assert own_fold(make_config(), []) == []


@pytest.mark.slow
def test_one_training(make_config: MakeConfig) -> None:
    """A report per epoch, from step 1, and the best value as the objective; the run carries the searched number."""
    config, study = make_config(*TINY), Study()
    value = run_trial([config], ["x=1"], study.trial)
    assert [step for step, _ in study.reports] == [1, 2]
    assert value == max(reported for _, reported in study.reports)
    run = study.run(config)
    assert (run.info.run_name, run.info.status) == ("trial-0007 learning_rate=0.5 aug=none", "FINISHED")
    assert run.data.metrics["searched/optimizer.learning_rate"] == 0.5
    assert study.attrs["epochs"] == run.data.metrics["total/epochs"] == 2
    assert study.attrs["seeds"] == [config.seed]
    assert study.attrs["n_validation"] == int(run.data.tags["pictures.validation"])


@pytest.mark.parametrize("n_repeats", [1, 2])
def test_other_pictures_than_the_sweep_began_with(make_config: MakeConfig, n_repeats: int) -> None:
    """A trial does not train on pictures that were changed since its sweep began, and says which these are."""
    config, study = make_config(*TINY), Study()
    trial = replace(study.trial, content=Content({place_of(config): "0" * 32}, {}, {}))
    with pytest.raises(DataError, match=f"{config.data.dir} are no longer those that the sweep started with"):
        run_trial([replace(config, seed=seed) for seed in range(n_repeats)], [], trial)
    assert study.reports == []


@pytest.mark.slow
def test_several_objectives(make_config: MakeConfig) -> None:
    """objective.also makes it a list, in the order of the names."""
    config = make_config(*TINY, "objective.also=[model/parameters,total/epochs]")
    value = run_trial([config], [], Study().trial)
    assert isinstance(value, list)
    # 4 filters of 3 x 3 x 3, a dense layer of 4 on 7 x 7 x 4, and 5 logits, each with its biases.
    assert value[1:] == [4 * 27 + 4 + 196 * 4 + 4 + 4 * 5 + 5, 2.0]


@pytest.mark.slow
def test_pruned_between_repeats(make_config: MakeConfig) -> None:
    """A trial that is ended after its second seed is FINISHED with a tag, its third one never runs."""
    config, study = make_config(*TINY), Study(prune_after=2)
    with pytest.raises(Pruned):
        run_trial([replace(config, seed=seed) for seed in range(3)], [], study.trial)
    run = study.run(config)
    assert [step for step, _ in study.reports] == [1, 2]
    assert (run.info.status, run.data.tags["trial.state"]) == ("FINISHED", "PRUNED")
    assert (run.data.metrics["n"], "spread/min" in run.data.metrics) == (2.0, False)
    assert study.attrs["epochs"] == 4


@pytest.mark.slow
def test_an_interrupted_trial_goes_on(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its finished seeds are taken from their runs, the interrupted one goes on in its run; reports and counts are the same."""
    config = make_config(*TINY, "model.dropout=0.5", "trainer.epochs=3")
    configs = [replace(config, seed=seed) for seed in range(3)]
    store = prepare_store(Path(config.tracking.dir))
    parent = MLflowTracker.start(store, config.tracking.experiment, "study").run_id
    whole, first, second = Study(parent=parent, number=1), Study(parent=parent), Study(parent=parent)
    expected = run_trial(configs, [], whole.trial)

    seen: list[int] = []

    def interrupted_in_second(self: RunCheckpoint, *given: Any, **named: Any) -> None:
        seen.append(len(given[1].epochs))
        save(self, *given, **named)
        if len(seen) == 5:
            raise Interrupted(signal.SIGTERM)

    save = RunCheckpoint.save
    monkeypatch.setattr(RunCheckpoint, "save", interrupted_in_second)
    with pytest.raises(Interrupted):
        run_trial(configs, [], first.trial)
    monkeypatch.undo()
    assert run_trial(configs, [], second.trial) == expected

    assert seen == [1, 2, 3, 1, 2]
    assert first.attrs["mlflow_run_id"] == second.attrs["mlflow_run_id"]
    assert second.reports == whole.reports
    assert second.attrs["epochs"] == whole.attrs["epochs"] == 9
    service = client(store.uri)
    run = second.run(config)
    assert run.info.status == "FINISHED"
    assert "failure" not in run.data.tags
    points = service.get_metric_history(run.info.run_id, "n")
    assert [(point.step, point.value) for point in points] == [(1, 1.0), (2, 2.0), (3, 3.0)]
    below = service.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert [one.info.status for one in below] == ["FINISHED"] * 3
    for one in below:
        losses = service.get_metric_history(one.info.run_id, "loss")
        assert [point.step for point in losses] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(("n_repeats", "prune_after"), [(1, None), (1, 2), (2, None)])
def test_a_finished_trial_is_not_trained_again(
    make_config: MakeConfig, n_repeats: int, prune_after: int | None
) -> None:
    """If its worker died before it could tell the study, the next attempt takes what the trial's run has recorded."""
    config = make_config(*TINY)
    configs = [replace(config, seed=seed) for seed in range(n_repeats)]
    store = prepare_store(Path(config.tracking.dir))
    parent = MLflowTracker.start(store, config.tracking.experiment, "study").run_id
    studies = [Study(prune_after, parent=parent), Study(prune_after, parent=parent)]
    ends: list[Any] = []
    for attempt, study in enumerate(studies):
        try:
            ends.append(run_trial(configs, [], replace(study.trial, attempt=attempt)))
        except Pruned:
            ends.append("pruned")

    assert ends[0] == ends[1]
    assert (ends[0] == "pruned") == (prune_after is not None)
    first, second = (study.attrs for study in studies)
    assert {**first, "mlflow_run_id": ""} == {**second, "mlflow_run_id": ""}
    service = client(store.uri)
    experiment = service.get_run(parent).info.experiment_id
    runs = service.search_runs([experiment], "attributes.status = 'FINISHED'")
    assert len(runs) == (1 if n_repeats == 1 else 1 + n_repeats)
    assert {first["mlflow_run_id"], second["mlflow_run_id"]} <= {run.info.run_id for run in runs}


@pytest.mark.slow
def test_a_trial_with_repeats_of_a_silent_machine(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its finished seeds are moved to the new run and not trained again; the runs of that machine are KILLED."""
    config = make_config(*TINY, "trainer.epochs=1")
    configs = [replace(config, seed=seed) for seed in range(2)]
    store = prepare_store(Path(config.tracking.dir))
    parent = MLflowTracker.start(store, config.tracking.experiment, "study").run_id
    first, second = Study(parent=parent), Study(parent=parent)
    trained: list[int] = []

    def interrupted_in_second(self: RunCheckpoint, *given: Any, **named: Any) -> None:
        save(self, *given, **named)
        trained.append(1)
        if len(trained) == 2:
            raise Interrupted(signal.SIGTERM)

    save = RunCheckpoint.save
    monkeypatch.setattr(RunCheckpoint, "save", interrupted_in_second)
    with pytest.raises(Interrupted):
        run_trial(configs, [], first.trial)
    service = client(store.uri)
    experiment = service.get_run(parent).info.experiment_id
    left = [run for run in service.search_runs([experiment]) if run.info.status == "KILLED"]
    # As if their machine was cut off.
    for run in left:
        service.set_tag(run.info.run_id, "flowersweep.process_start", "another-boot pid:[1] 1")
        service.set_tag(run.info.run_id, "flowersweep.host", "another")
        service.update_run(run.info.run_id, status="RUNNING")
    run_trial(configs, [], replace(second.trial, attempt=1))

    assert len(left) == 2
    assert len(trained) == 3
    assert [step for step, _ in second.reports] == [1, 2]
    run = second.run(config)
    assert run.info.run_id != first.attrs["mlflow_run_id"]
    assert run.info.status == "FINISHED"
    below = service.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert [one.info.status for one in below] == ["FINISHED"] * 2
    for one in left:
        now = service.get_run(one.info.run_id)
        assert (now.info.status, now.data.tags["flowersweep.superseded_by"]) == ("KILLED", run.info.run_id)


@pytest.mark.slow
@pytest.mark.parametrize("prune_after", [None, 1, 3])
def test_values_of_a_worker_that_died_are_reported_again(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, prune_after: int | None
) -> None:
    """They may never have reached the study, and are judged as if there had been no interruption."""
    config = make_config(*TINY, "trainer.epochs=4")
    store = prepare_store(Path(config.tracking.dir))
    parent = MLflowTracker.start(store, config.tracking.experiment, "study").run_id
    whole = Study(prune_after, parent=parent, number=1)
    first, second = Study(parent=parent), Study(prune_after, parent=parent)
    ends = pytest.raises(Pruned) if prune_after else nullcontext()
    with ends:
        run_trial([config], [], whole.trial)

    def interrupted_in_second(self: RunCheckpoint, *given: Any, **named: Any) -> None:
        save(self, *given, **named)
        if len(given[1].epochs) == 2:
            raise Interrupted(signal.SIGTERM)

    save = RunCheckpoint.save
    with monkeypatch.context() as patched:
        patched.setattr(RunCheckpoint, "save", interrupted_in_second)
        with pytest.raises(Interrupted):
            run_trial([config], [], first.trial)
    with ends:
        run_trial([config], [], replace(second.trial, attempt=1))

    assert second.reports == whole.reports
    assert len(second.reports) == (prune_after or 4)
    run = second.run(config)
    assert run.info.run_id == first.attrs["mlflow_run_id"]
    assert (run.info.status, run.data.tags.get("trial.state")) == (
        "FINISHED",
        "PRUNED" if prune_after else None,
    )


def test_a_run_of_repeats_that_cannot_go_on_ends(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal before its first repeat does not leave it RUNNING."""
    config = make_config()
    store = prepare_store(Path(config.tracking.dir))
    parent = MLflowTracker.start(store, config.tracking.experiment, "study").run_id
    trial = Study(parent=parent).trial
    tags = {**tags_of(trial), "n_repeats": 2}
    older = MLflowTracker.start(store, config.tracking.experiment, "older", parent_run_id=parent, tags=tags)
    older.end(RunStatus.KILLED)

    def interrupted(*_given: object) -> None:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(MLflowTracker, "tags", interrupted)
    with pytest.raises(Interrupted):
        _started_or_resumed(config, trial, store, tags)
    assert client(store.uri).get_run(older.run_id).info.status == "KILLED"


@pytest.mark.parametrize("resume", ["auto", "never"])
def test_every_silent_run_of_a_trial_with_repeats_ends(resume: str, make_config: MakeConfig) -> None:
    """Also if the trial goes on in an older run, or does not go on: then the finished seeds stay where they are."""
    config = make_config(f"tracking.resume={resume}")
    store = prepare_store(Path(config.tracking.dir))
    service, experiment = client(store.uri), config.tracking.experiment
    parent = MLflowTracker.start(store, experiment, "study").run_id
    trial = Study(parent=parent).trial
    tags = {**tags_of(trial), "n_repeats": 2}
    older = MLflowTracker.start(store, experiment, "older", parent_run_id=parent, tags=tags)
    older.end(RunStatus.KILLED)
    silent = MLflowTracker.start(store, experiment, "silent", parent_run_id=parent, tags=tags)
    seed = MLflowTracker.start(store, experiment, "seed", parent_run_id=silent.run_id)
    seed.end(RunStatus.FINISHED)
    now, _ = _started_or_resumed(config, trial, store, tags)

    assert (now.run_id == older.run_id) == (resume == "auto")
    ended = service.get_run(silent.run_id)
    assert (ended.info.status, ended.data.tags["flowersweep.superseded_by"]) == ("KILLED", now.run_id)
    place = service.get_run(seed.run_id).data.tags["mlflow.parentRunId"]
    assert place == (now.run_id if resume == "auto" else silent.run_id)
