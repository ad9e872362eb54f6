"""The study's run in MLflow, in a real store."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import create_trial

from flowersweep.errors import TrackingError
from flowersweep.report.reading import read_study
from flowersweep.report.summary import summary
from flowersweep.sweep.record.study_run import StudyRun
from flowersweep.sweep.runs import open_store, own_runs
from flowersweep.sweep.settings import Plan
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.attributes import RUN_ID
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.outbox.delivery import settle
from flowersweep.tracking.store.store import Store

ARGUMENTS = ["optimizer.learning_rate=interval(0,1)", "+model.filters=[8, 8]"]
PLAN = Plan(is_grid=False, n_trials=4, enqueue=())
RATE = "optimizer.learning_rate"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DictConfig:
    """What the study's run reads of a sweep's configuration; its store is made once."""
    folder = tmp_path_factory.mktemp("results")
    node = {
        "tracking": {"dir": str(folder), "uri": None, "experiment": "sweeps"},
        "hydra": {
            "sweeper": {"n_trials": 4, "storage": "postgresql+psycopg://u:secret@h/x"},
            "overrides": {"task": ARGUMENTS},
        },
    }
    return OmegaConf.create(node)


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """A study in a database, as the study's run locks its storage."""
    made = optuna.create_study(storage=open_storage(None, tmp_path), study_name="s", direction="maximize")
    for value in (0.25, 0.75):
        made.add_trial(
            create_trial(value=value, params={RATE: value}, distributions={RATE: FloatDistribution(0, 1)})
        )
    return made


def store_of(config: DictConfig) -> Store:
    """The configuration's store."""
    store = open_store(own_runs(config))
    assert store is not None
    return store


def opened(config: DictConfig, study: optuna.Study) -> Any:
    """The study's run as a sweep opens it."""
    return StudyRun.open(config, study, PLAN, build_space(ARGUMENTS), store_of(config))


def test_what_the_run_has(config: DictConfig, study: optuna.Study) -> None:
    """Tags, description, leaderboard, settings and the command of the best trial, quoted for a shell."""
    with opened(config, study) as study_run:
        study_run.update()
        study_run.finish(draw=False)
        assert study_run.best_command == (
            "python -m flowersweep optimizer.learning_rate=0.75 '+model.filters=[8, 8]'"
        )
    service = client(store_of(config).uri)
    run = service.get_run(study_run.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "study s"
    tags = {key: run.data.tags[key] for key in ("kind", "study", "study.goal", "study.finished")}
    assert tags == {
        "kind": "study",
        "study": "s",
        "study.goal": "maximize value",
        "study.finished": "2/4",
    }
    assert run.data.tags["study.failed"] == "0"
    assert run.data.metrics == {
        "best/value": 0.75,
        "best/trial": 1.0,
        "trials/finished": 2.0,
        "trials/value": 0.75,
        "mean": 0.75,
        "n": 1.0,
        "order": pytest.approx(0.75),
    }
    assert run.data.params.items() >= {"data": "sweeps", "budget": "4 trials"}.items()
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith(
        "**s**: maximize value; 2 of 4 trials done.\n\nBest: **trial 1 (optimizer.learning_rate=0.75)**, 0.7500.\n\n"
        "Best again:\n\n    python -m flowersweep"
    )
    assert {item.path for item in service.list_artifacts(study_run.run_id, "study")} == {
        f"study/{name}"
        for name in (
            "leaderboard.json",
            "best_params.json",
            "sweeper.yaml",
            "overrides.txt",
            "command.txt",
            "distributions.json",
        )
    }
    settings = Path(service.download_artifacts(study_run.run_id, "study/sweeper.yaml")).read_text(
        encoding="utf-8"
    )
    assert "secret" not in settings
    assert "postgresql+psycopg://u:***@h/x" in settings
    # The command is one that Hydra takes.
    OverridesParser.create().parse_overrides(build_space(ARGUMENTS).overrides({RATE: 0.75}))


def test_a_study_without_a_trial(config: DictConfig, tmp_path: Path) -> None:
    """From the start, a report knows the goals and the number of trials, and says that there is nothing to rank yet."""
    made = optuna.create_study(storage=open_storage(None, tmp_path), study_name="begun", direction="minimize")
    with opened(config, made) as study_run:
        run = client(store_of(config).uri).get_run(study_run.run_id)
        assert run.data.tags["study.goal"] == "minimize value"
        read = read_study(store_of(config), run)
    assert [goal.words for goal in read.goals] == ["minimize value"]
    assert summary(read, [], None) == ["No trial has a value of value yet, so there is nothing to rank."]


def test_objectives_without_names(config: DictConfig, tmp_path: Path) -> None:
    """The goal and the table in the description have all of them."""
    study = optuna.create_study(
        storage=open_storage(None, tmp_path), study_name="two", directions=["minimize", "maximize"]
    )
    study.add_trial(
        create_trial(values=[0.5, 7.0], params={RATE: 0.25}, distributions={RATE: FloatDistribution(0, 1)})
    )
    with opened(config, study) as study_run:
        study_run.finish(draw=False)
    tags = client(store_of(config).uri).get_run(study_run.run_id).data.tags
    assert tags["study.goal"] == "minimize values_0, maximize values_1"
    assert f"| rank | trial | {RATE} | values_0 | values_1 |" in tags["mlflow.note.content"]


def test_the_rank_of_a_trial(config: DictConfig, tmp_path: Path) -> None:
    """It is a metric of the trial's run."""
    tracker = MLflowTracker.start(store_of(config), "sweeps", "trial 0")
    study = optuna.create_study(storage=open_storage(None, tmp_path), study_name="ranked")
    space: dict[str, BaseDistribution] = {RATE: FloatDistribution(0, 1)}
    attrs = {RUN_ID: tracker.run_id}
    study.add_trial(create_trial(value=16.0, params={RATE: 0.5}, distributions=space, user_attrs=attrs))
    with opened(config, study) as study_run:
        study_run.finish(draw=False)
    assert client(store_of(config).uri).get_run(tracker.run_id).data.metrics["rank"] == 1.0


@pytest.mark.slow
def test_without_figures(config: DictConfig, study: optuna.Study) -> None:
    """With tracking.log_figures=false no plots are stored, and the description does not mention them."""
    without = config.copy()
    without.tracking.log_figures = False
    with opened(without, study) as study_run:
        study_run.finish()
    service = client(store_of(config).uri)
    stored = [item.path for item in service.list_artifacts(study_run.run_id, "study")]
    assert [path for path in stored if path.endswith((".html", ".png"))] == []
    note = service.get_run(study_run.run_id).data.tags["mlflow.note.content"]
    assert "The complete table and the sweep's settings" in note


def test_the_command_finds_ones_own_presets(config: DictConfig, study: optuna.Study) -> None:
    """Where the sweep was told of a folder and a file of one's own, the command is told of them too."""
    sources = [{"path": "hydra.conf", "provider": "hydra"}, {"path": "/my own", "provider": "command-line"}]
    told = config.copy()
    told.hydra.runtime = {"config_sources": sources}
    told.hydra.job = {"config_name": "mine"}
    with opened(told, study) as study_run:
        assert study_run.best_command.startswith(
            "python -m flowersweep '--config-dir=/my own' --config-name=mine optimizer.learning_rate"
        )


@pytest.mark.slow
def test_one_run_for_a_study(config: DictConfig, study: optuna.Study) -> None:
    """A resumed sweep writes to the same run; one that fails leaves it FAILED."""
    with opened(config, study) as first:
        pass
    with pytest.raises(ValueError, match="bad"), opened(config, study) as second:
        raise ValueError("bad")
    assert first.run_id == second.run_id
    assert client(store_of(config).uri).get_run(first.run_id).info.status == "FAILED"


def test_the_course_is_written_once(config: DictConfig, study: optuna.Study) -> None:
    """A resumed sweep adds the steps of its own trials to those of the earlier one."""
    with opened(config, study) as study_run:
        study_run.finish(draw=False)
    study.add_trial(
        create_trial(value=0.5, params={RATE: 0.5}, distributions={RATE: FloatDistribution(0, 1)})
    )
    with opened(config, study) as study_run:
        study_run.finish(draw=False)
    history = client(store_of(config).uri).get_metric_history(study_run.run_id, "best/value")
    assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.75), (3, 0.75)]


@pytest.mark.slow
def test_a_study_stays_in_its_experiment(config: DictConfig, study: optuna.Study) -> None:
    """A study from before data sets had their own experiments is resumed where it is, with the runs of its trials."""
    with opened(config, study) as study_run:
        pass
    later = config.copy()
    later.tracking.experiment = "flowersweep/demo"
    with opened(later, study) as resumed:
        trial = MLflowTracker.start(
            store_of(later), "flowersweep/demo", "trial-0002", parent_run_id=resumed.run_id
        )
    service = client(store_of(config).uri)
    assert resumed.run_id == study_run.run_id
    experiments = {service.get_run(run).info.experiment_id for run in (resumed.run_id, trial.run_id)}
    assert [service.get_experiment(one).name for one in experiments] == ["sweeps"]
    assert service.get_experiment_by_name("flowersweep/demo") is None


@pytest.mark.slow
def test_the_description_shows_the_ranking(config: DictConfig, study: optuna.Study) -> None:
    """The picture is stored with the study's run before the description refers to it."""
    with opened(config, study) as study_run:
        study_run.finish()
    service = client(store_of(config).uri)
    note = service.get_run(study_run.run_id).data.tags["mlflow.note.content"]
    assert f"(get-artifact?path=study/ranking.png&run_uuid={study_run.run_id})" in note
    assert "study/ranking.png" in {item.path for item in service.list_artifacts(study_run.run_id, "study")}


def test_another_store(config: DictConfig, study: optuna.Study) -> None:
    """A study that is known to another store only gets a run in this one."""
    study.set_user_attr("mlflow_parent_run_id", "0" * 32)
    with opened(config, study) as study_run:
        assert study_run.run_id not in {None, "0" * 32}


def test_a_deleted_run_is_not_written_to(config: DictConfig, study: optuna.Study) -> None:
    """Who deleted the study's run has to say what shall become of it."""
    with opened(config, study) as study_run:
        pass
    client(store_of(config).uri).delete_run(study_run.run_id)
    with pytest.raises(TrackingError, match="restore it in the MLflow UI"), opened(config, study):
        pass


def test_runs_of_dead_processes_are_closed(config: DictConfig, study: optuna.Study) -> None:
    """A training process that was killed while the sweep goes on leaves no run open."""
    with opened(config, study) as study_run:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        tracker = MLflowTracker.start(
            store_of(config), "sweeps", "trial-0002", parent_run_id=study_run.run_id
        )
        identity = {"flowersweep.pid": str(dead.pid)}
        dead.wait()
        tracker.tags(identity)
        study_run.finish(draw=False)
        run = client(store_of(config).uri).get_run(tracker.run_id)
        assert run.info.status == "KILLED"
        assert f"process {dead.pid}" in run.data.tags["flowersweep.closed_because"]
        assert os.getpid() != dead.pid


@pytest.mark.slow
def test_plots_that_there_is_no_room_for(
    config: DictConfig, study: optuna.Study, caplog: pytest.LogCaptureFixture
) -> None:
    """The trials are done, so that plots which cannot be stored wait, and what is recorded after them too."""
    store = store_of(config)
    with StudyRun.open(config, study, PLAN, build_space(ARGUMENTS), store) as study_run:
        run = client(store.uri).get_run(str(study_run.run_id))
        artifacts = Path(url2pathname(urlsplit(run.info.artifact_uri).path))
        (artifacts / "study/plots.html").mkdir(parents=True)
        study_run.finish()
    assert caplog.messages[-1].startswith(
        f"Waiting in {store.outboxes[0]} for the tracking store ([Errno 21]"
    )
    (artifacts / "study/plots.html").rmdir()
    settle(store.uri, store.outboxes, 0)
    assert (artifacts / "study/plots.html").is_file()
    assert client(store.uri).get_run(run.info.run_id).info.status == "FINISHED"


def test_without_tracking(study: optuna.Study) -> None:
    """An application without tracking has a `StudyRun` that writes nowhere."""
    plain = OmegaConf.create({"x": 1})
    assert open_store(own_runs(plain)) is None
    with StudyRun.open(plain, study, PLAN, build_space(ARGUMENTS), None) as study_run:
        study_run.update()
        study_run.finish()
    assert (study_run.run_id, study_run.where) == (None, None)
