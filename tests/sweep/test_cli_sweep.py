"""`python -m flowersweep --multirun` as a person meets it: bad input, and real trainings with their runs in MLflow."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flowersweep import cli
from flowersweep.sweep.storage import open_storage
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store import sqlite_uri

Outcome = tuple[int, str]
TYPED = "hydra.sweeper."
LR = "optimizer.learning_rate=interval(0.0001,0.01)"
FIVE = f"{TYPED}n_trials=5"

# What is typed after --multirun, and what the one sentence about it must say.
BAD_INPUT = {
    "nothing ends an interval": ([LR], "hydra.sweeper.n_trials=30"),
    "empty range": (["trainer.epochs=range(5,5)"], "trainer.epochs=range(5,5) cannot be searched"),
    "interval upside down": (["model.dropout=interval(0.5,0.1)", FIVE], "model.dropout=interval(0.5,0.1)"),
    "log of zero": (["optimizer.learning_rate=tag(log,interval(0,1))", FIVE], "tag(log,interval(0,1))"),
    "unknown key": (["trainer.epcohs=1,2"], "Did you mean trainer.epochs?"),
    "unknown choice": (["aug=none,RandomFlp"], "Did you mean RandomFlip?"),
    "unknown preset": (["+experiment=articl_cnn"], "Did you mean article_cnn?"),
    "value out of range": (["model.dropout=0.2,1.5"], "must be at least 0 and less than 1, but is 1.5"),
    "end of an interval out of range": (
        ["model.dropout=interval(0.0,1.0)", FIVE],
        "must be at least 0 and less than 1, but is 1.0",
    ),
    "word among numbers": (["trainer.epochs=1,many"], "must be a whole number, but is 'many'"),
    "key of one choice only": (
        ["optimizer=adam,sgd", "optimizer.momentum=0.5,0.9"],
        "hydra.sweeper.conditions",
    ),
    "no trials": ([LR, f"{TYPED}n_trials=0"], "n_trials must be at least 1, but is 0"),
    "no workers": (["aug=none,RandomFlip", f"{TYPED}n_jobs=0"], "n_jobs must be at least 1, but is 0"),
    "unknown setting": ([LR, f"{TYPED}n_trial=5"], "n_trial"),
    "sampler that needs numbers": (
        ["aug=none,RandomFlip", FIVE, "hydra/sweeper/sampler=cmaes"],
        "sampler=tpe",
    ),
    "unknown sampler": ([LR, FIVE, "hydra/sweeper/sampler=tpa"], "Did you mean tpe?"),
    "seed of a sampler": ([LR, FIVE, f"{TYPED}sampler.seed=-1"], "must be a whole number from 0"),
    "unknown pruner": ([LR, FIVE, "hydra/sweeper/pruner=mean"], "choose one of asha"),
    "no such storage": ([LR, FIVE, f"{TYPED}storage=mangodb://x"], "is not a storage"),
    "storage that does not answer": (
        [LR, FIVE, f"{TYPED}storage='postgresql+psycopg://u@127.0.0.1:1/x'"],
        "cannot be opened",
    ),
    "point of an unknown key": ([LR, FIVE, f"{TYPED}enqueue=[{{dropout: 0.1}}]"], "dropout is not searched"),
    "point out of range": (
        [LR, FIVE, f"{TYPED}enqueue=[{{optimizer.learning_rate: 1}}]"],
        "must be a number from 0.0001 to 0.01, but is 1",
    ),
    "more points than trials": (
        [LR, f"{TYPED}n_trials=1", f"{TYPED}enqueue=[{{}}, {{}}]"],
        "has 2 points, but hydra.sweeper.n_trials is 1",
    ),
    "points of a grid": (["aug=none,RandomFlip", f"{TYPED}enqueue=[{{aug: none}}]"], "a grid has all points"),
    "condition on an unknown key": (
        [LR, FIVE, "aug=none,RandomFlip", f"+{TYPED}conditions={{optimizer.learning_rate: {{agu: none}}}}"],
        "Did you mean aug?",
    ),
    "direction": ([LR, FIVE, f"{TYPED}direction=up"], "must be minimize or maximize"),
    "directions for one objective": (
        [LR, FIVE, f"{TYPED}direction=[maximize,minimize]"],
        "must have one entry for each of best/val_accuracy, but has 2",
    ),
    "unknown further objective": (["objective.also=[seconds]", "aug=none,RandomFlip"], "best/val_accuracy"),
    "objective twice": (["objective.also=[best/val_accuracy]", "aug=none,RandomFlip"], "objective already"),
    "pruner with two objectives": (
        [LR, FIVE, "objective.also=[total/seconds]", "hydra/sweeper/pruner=median"],
        "hydra/sweeper/pruner=none",
    ),
    "key twice": (["aug=none,RandomFlip", "aug=RandomZoom"], "aug is given twice"),
    "sweep of hydra's own": (["hydra.verbose=true,false"], "hydra.verbose"),
    "not in the grammar": (["aug=choice(none"], "'aug=choice(none'"),
    "name of another program's study": ([LR, FIVE, f"{TYPED}study_name=theirs"], "left no definition"),
    "tracking in plain files": ([LR, FIVE, "tracking.uri=./runs"], "tracking.uri must begin with"),
}
RESEMBLING = (
    "interval upside down",
    "word among numbers",
    "end of an interval out of range",
    "no workers",
    "unknown sampler",
    "seed of a sampler",
    "unknown pruner",
    "storage that does not answer",
    "more points than trials",
    "points of a grid",
    "directions for one objective",
    "objective twice",
    "pruner with two objectives",
    "sweep of hydra's own",
    "name of another program's study",
    "tracking in plain files",
)


def flags(folder: Path) -> list[str]:
    """Where everything lands, and how small it is."""
    return ["data=demo", f"tracking.dir={folder}/results", f"paths.cache={folder}/cache"]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Outcome]:
    """Run the command line in this process, from an empty folder; give exit code and standard error."""

    def type_in(*arguments: str) -> Outcome:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none"]
        monkeypatch.setattr(sys, "argv", ["flowersweep", "--multirun", *arguments, *flags(tmp_path), *quiet])
        code = cli.run()
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        return code, capsys.readouterr().err

    return type_in


def cases() -> list[Any]:
    """All kinds; those that resemble others in which part refuses them are slow, for want of time."""
    return [pytest.param(case, marks=pytest.mark.slow if case in RESEMBLING else ()) for case in BAD_INPUT]


@pytest.mark.parametrize("case", cases())
def test_bad_input_is_refused_in_a_sentence(run: Callable[..., Outcome], tmp_path: Path, case: str) -> None:
    """A bad sweep ends with code 2 before any trial, says how to mend it, and leaves neither study nor run behind."""
    arguments, expected = BAD_INPUT[case]
    theirs = "theirs" in arguments[-1]
    if theirs:
        storage = open_storage(None, tmp_path / "results")
        optuna.create_study(study_name="theirs", storage=storage, direction="maximize").ask()

    code, said = run(*arguments)

    assert expected in said
    assert code == cli.EXIT_BAD_INPUT
    assert all(line.startswith("flowersweep: ") for line in said.splitlines())
    assert said.count("\n") == 1 or theirs
    assert not (tmp_path / "results" / "sweeps").exists()
    assert not (tmp_path / "mlruns").exists()
    if (tmp_path / "results" / "optuna.db").exists():
        studies = open_storage(None, tmp_path / "results").get_all_studies()
        assert [study.study_name for study in studies] == ["theirs"][:theirs]
    if (tmp_path / "results" / "mlflow.db").exists():
        assert client(sqlite_uri(tmp_path / "results" / "mlflow.db")).search_runs(["0", "1"]) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose cache of drawn flowers all sweeps here share; each has results of its own."""
    return tmp_path_factory.mktemp("sweeps")


class Real:
    """Runs `python -m flowersweep --multirun` with tiny trainings, and reads what they leave."""

    SMALL = (
        "data=demo",
        "trainer.image_size=16",
        "trainer.batch_size=64",
        "model.filters=[4]",
        "tracking.log_model=false",
        "tracking.log_figures=false",
    )

    def __init__(self, folder: Path, results: Path) -> None:
        self.folder = folder
        self.results = results

    def start(self, *arguments: str, epochs: int = 2) -> subprocess.Popen[str]:
        """Start a sweep in a process group of its own."""
        places = [f"tracking.dir={self.results}", f"paths.cache={self.folder}/cache"]
        command = [sys.executable, "-m", "flowersweep", "--multirun", *self.SMALL, *places, *arguments]
        command.append(f"trainer.epochs={epochs}")
        environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, epochs: int = 2) -> tuple[int, str, str]:
        """Run one; exit code, standard output and standard error."""
        running = self.start(*arguments, epochs=epochs)
        out, err = running.communicate(timeout=300)
        return running.returncode, out, err

    @property
    def study(self) -> optuna.Study:
        """The only study."""
        return optuna.load_study(study_name=None, storage=open_storage(None, self.results))

    def reporting(self) -> list[int]:
        """The trials that have reported an epoch; none while there is no study."""
        storage = open_storage(None, self.results)
        studies = storage.get_all_studies()
        trials = storage.get_all_trials(studies[0]._study_id) if studies else []
        return [trial.number for trial in trials if trial.intermediate_values]

    @property
    def store(self) -> MlflowClient:
        """The tracking store."""
        return client(sqlite_uri(self.results / "mlflow.db"))

    def runs(self, kind: str, filter_string: str = "", order_by: tuple[str, ...] = ()) -> list[Run]:
        """The runs of a kind, by trial and repeat unless ordered otherwise."""
        experiment = self.store.get_experiment_by_name("flowersweep")
        assert experiment is not None
        both = " and ".join(part for part in (f"tags.kind = '{kind}'", filter_string) if part)
        found = list(self.store.search_runs([experiment.experiment_id], both, order_by=list(order_by)))
        if order_by:
            return found
        return sorted(found, key=lambda run: (int(run.data.tags.get("trial", 0)), run.info.start_time))


@pytest.fixture
def real(folder: Path, tmp_path: Path) -> Real:
    """Sweeps of real trainings."""
    return Real(folder, tmp_path / "results")


@pytest.mark.slow
class TestRuns:
    def test_grid(self, real: Real) -> None:
        """A parent run with leaderboard, plots and a command; below it a run per trial, found by searched values."""
        code, out, err = real.run("optimizer.learning_rate=0.00001,0.01,0.001")
        (parent,), trials = real.runs("study"), real.runs("trial")

        assert code == 0, err
        assert [run.info.run_name for run in trials] == ["trial-0000", "trial-0001", "trial-0002"]
        assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
        assert {run.info.status for run in [parent, *trials]} == {"FINISHED"}
        ordered = real.runs("trial", order_by=("metrics.`searched/optimizer.learning_rate` ASC",))
        rates = [run.data.params["optimizer.learning_rate"] for run in ordered]
        assert rates == ["1e-05", "0.001", "0.01"]
        (found,) = real.runs("trial", "params.`optimizer.learning_rate` = '0.01'")
        assert found.info.run_id == trials[1].info.run_id
        assert not [tag for run in trials for tag in run.data.tags if tag.startswith("param.")]
        artifacts = {item.path for item in real.store.list_artifacts(parent.info.run_id, "study")}
        assert {"study/leaderboard.json", "study/plots.html", "study/optimization_history.png"} <= artifacts
        note = parent.data.tags["mlflow.note.content"]
        assert "maximize best/val_accuracy; 3 of 3 trials done" in note
        assert note.count("#/experiments/") == 3
        command = next(line for line in out.splitlines() if line.startswith("best again: "))
        assert command.removeprefix("best again: ") in note
        assert parent.data.metrics["best/value"] == real.study.best_value
        assert "Launching" not in err
        assert "Traceback" not in err

        again, _, told = real.run("optimizer.learning_rate=0.00001,0.01,0.001")
        assert again == 0
        assert "All 3 trials of study" in told
        assert len(real.runs("trial")) == 3
        assert len(real.runs("study")) == 1

    def test_failures(self, real: Real) -> None:
        """A trial that cannot train is a FAILED run with its reason; too many end the sweep with code 1."""
        # Adam divides zero by zero for units without a gradient if its epsilon is nothing in 32 bits.
        code, out, err = real.run("optimizer.epsilon=1e-7,1e-46,1e-47,1e-48", f"{TYPED}max_failures=2")
        (parent,), trials = real.runs("study"), real.runs("trial")

        states = [trial.state.name for trial in real.study.trials]
        assert states[0] == "COMPLETE"
        assert states.count("FAIL") == 2, out + err
        assert code == cli.EXIT_FAILED
        assert "2 trials have failed, so the sweep was stopped" in err
        assert parent.info.status == "FAILED"
        failed = [run for run in trials if run.info.status == "FAILED"]
        assert len(failed) == 2
        assert all("TrainingError" in run.data.tags["failure"] for run in failed)
        assert "trial 1 failed: TrainingError" in out

    def test_pruned_trials_are_finished_runs(self, real: Real) -> None:
        """What the median pruner ends is PRUNED in the study, and FINISHED with a tag in MLflow."""
        code, _, err = real.run(
            "optimizer.learning_rate=tag(log,interval(0.000001,0.01))",
            f"{TYPED}n_trials=5",
            "hydra/sweeper/pruner=median",
            f"{TYPED}pruner.n_startup_trials=1",
            f"{TYPED}pruner.n_warmup_steps=0",
            f"{TYPED}pruner.n_min_trials=1",
            f"{TYPED}enqueue=[{{optimizer.learning_rate: 0.01}}, {{optimizer.learning_rate: 0.000001}}]",
            epochs=4,
        )
        states = [trial.state.name for trial in real.study.trials]
        assert code == 0, err
        assert "PRUNED" in states
        tagged = [run.data.tags.get("trial.state") == "PRUNED" for run in real.runs("trial")]
        assert tagged == [state == "PRUNED" for state in states]
        assert {run.info.status for run in real.runs("trial")} == {"FINISHED"}

    def test_repeats(self, real: Real) -> None:
        """With n_repeats a trial's value is the mean over seeds; each repeat has its run below the trial's."""
        code, _, err = real.run(
            "optimizer.learning_rate=0.001,0.01",
            f"{TYPED}n_repeats=3",
            "hydra/sweeper/pruner=wilcoxon",
        )
        assert code == 0, err
        for trial, run in zip(real.study.trials, real.runs("trial"), strict=True):
            repeats = [
                repeat for repeat in real.runs("repeat") if repeat.data.tags["trial"] == str(trial.number)
            ]
            values = [repeat.data.metrics["best/val_accuracy"] for repeat in repeats]
            assert [repeat.data.params["seed"] for repeat in repeats] == ["0", "1", "2"]
            assert {repeat.data.tags["mlflow.parentRunId"] for repeat in repeats} == {run.info.run_id}
            assert trial.value == pytest.approx(sum(values) / 3)
            assert run.data.metrics["best/val_accuracy"] == pytest.approx(trial.value)
            assert run.data.params["optimizer.learning_rate"] == str(trial.params["optimizer.learning_rate"])
            assert trial.intermediate_values == pytest.approx(dict(enumerate(values)))

    def test_several_objectives(self, real: Real) -> None:
        """Each objective has its own direction; the leaderboard begins with the Pareto set."""
        code, out, err = real.run(
            "model.dense_units=4,8,16", "objective.also=[model/parameters,total/seconds]"
        )
        study = real.study
        assert code == 0, err
        assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
        assert study.metric_names == ["best/val_accuracy", "model/parameters", "total/seconds"]
        parameters = [trial.values[1] for trial in study.trials]
        assert parameters == sorted(parameters)
        assert "model/parameters" in real.runs("study")[0].data.tags["mlflow.note.content"]
        assert out.count("│ 1    │") == len(study.best_trials)


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "number"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
def test_interrupted(real: Real, jobs: int, number: signal.Signals) -> None:
    """An interrupted sweep exits with 128 + signal; its runs are KILLED, its trials wait, and it can go on."""
    command = "optimizer.learning_rate=0.001,0.01", f"{TYPED}n_jobs={jobs}", "trainer.patience=null"
    running = real.start(*command, epochs=100_000)
    try:
        until = time.monotonic() + 120
        while len(real.reporting()) < jobs:
            assert time.monotonic() < until
            assert running.poll() is None, running.communicate()
            time.sleep(0.2)
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)

    assert running.returncode == 128 + number, err
    assert f"interrupted by {number.name}" in err
    assert "Traceback" not in err
    assert "2 of 2 trials are left" in out
    assert Counter(run.info.status for run in real.runs("trial")) == {"KILLED": jobs}
    assert [run.info.status for run in real.runs("study")] == ["KILLED"]
    assert {trial.state.name for trial in real.study.trials} == {"WAITING"}
