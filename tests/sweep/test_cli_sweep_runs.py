"""`python -m flowersweep --multirun` with real trainings, tiny ones, and what they leave in study and MLflow."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flowersweep import cli
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import prepare_store, sqlite_uri

pytestmark = pytest.mark.slow
TYPED = "hydra.sweeper."


class Real:
    """Runs `python -m flowersweep --multirun` with tiny trainings, and reads what they leave."""

    SMALL = (
        "data=folder",
        "trainer.image_size=16",
        "trainer.batch_size=64",
        "model.filters=[4]",
        "tracking.log_model=false",
        "tracking.log_figures=false",
    )

    def __init__(
        self,
        folder: Path,
        drawn: Path,
        cache: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        self.folder = folder
        self.results = folder / "results"
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        self._watched: optuna.storages.BaseStorage | None = None
        self.places = (f"data.dir={drawn}", f"paths.cache={cache}", f"tracking.dir={self.results}")

    def command(self, arguments: Sequence[str], epochs: int) -> list[str]:
        """What is typed after `flowersweep`."""
        return ["--multirun", *self.SMALL, *self.places, *arguments, f"trainer.epochs={epochs}"]

    def start(self, *arguments: str, epochs: int = 2) -> subprocess.Popen[str]:
        """Start a sweep in a process group of its own."""
        environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
        prepare_store(self.results)  # a copy, which another process would take seconds to make
        return subprocess.Popen(
            [sys.executable, "-m", "flowersweep", *self.command(arguments, epochs)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, epochs: int = 2) -> tuple[int, str, str]:
        """Run one in this process, which has imported everything; exit code, standard output and standard error.

        Its trials run in training processes, as always.
        """
        self._monkeypatch.chdir(self.folder)
        self._monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        self._monkeypatch.setattr(sys, "argv", ["flowersweep", *self.command(arguments, epochs)])
        self._capfd.readouterr()
        code = cli.main()
        out, err = self._capfd.readouterr()
        return code, out, err

    def wait_for_training(self, running: subprocess.Popen[str], n_trials: int = 1) -> None:
        """Wait until this many trials of a sweep have reported an epoch."""
        until = time.monotonic() + 240
        while len(self.reporting()) < n_trials:
            assert time.monotonic() < until
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)

    @contextmanager
    def between_trials(self, running: subprocess.Popen[str]) -> Iterator[None]:
        """Hold a sweep that has begun to train, so that it begins no further trial within the block, however slow."""
        self.wait_for_training(running)
        running.send_signal(signal.SIGSTOP)
        yield
        running.send_signal(signal.SIGCONT)

    def report(self) -> str:
        """The page about the latest sweep."""
        page = self.results / "page"
        assert cli.main(["report", f"tracking.dir={self.results}", f"output={page}"]) == 0
        return (page / "report.html").read_text(encoding="utf-8")

    @property
    def study(self) -> optuna.Study:
        """The only study."""
        return optuna.load_study(study_name=None, storage=open_storage(None, self.results))

    def reporting(self) -> list[int]:
        """The trials that have reported an epoch; none while there is no study."""
        if self._watched is None:
            if not (self.results / "optuna.db").exists():
                return []
            self._watched = open_storage(None, self.results)
        storage = self._watched
        studies = storage.get_all_studies()
        trials = storage.get_all_trials(studies[0]._study_id) if studies else []
        return [trial.number for trial in trials if trial.intermediate_values]

    @property
    def store(self) -> MlflowClient:
        """The tracking store."""
        return client(sqlite_uri(self.results / "mlflow.db"))

    def runs(self, kind: str, filter_string: str = "", order_by: tuple[str, ...] = ()) -> list[Run]:
        """The runs of a kind, by trial and repeat unless ordered otherwise."""
        experiments = [one.experiment_id for one in self.store.search_experiments()]
        both = " and ".join(part for part in (f"tags.kind = '{kind}'", filter_string) if part)
        found = list(self.store.search_runs(experiments, both, order_by=list(order_by)))
        if order_by:
            return found
        return sorted(found, key=lambda run: (int(run.data.tags.get("trial", 0)), run.info.start_time))


@pytest.fixture
def real(
    tmp_path: Path,
    drawn: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Real:
    """Sweeps of real trainings on 60 drawn flowers."""
    return Real(tmp_path, drawn, cache, monkeypatch, capfd)


class TestInfrastructure:
    def test_pictures_that_are_away_for_a_while(self, real: Real, drawn: Path, tmp_path: Path) -> None:
        """While the folder of pictures is away trials wait, the sweep says so with code 1, and the same command goes on."""
        pictures, away = tmp_path / "pictures", tmp_path / "away"
        shutil.copytree(drawn, pictures)
        rates = ",".join(f"{0.001 * (1 + index)}" for index in range(3))
        command = (f"data.dir={pictures}", f"optimizer.learning_rate={rates}")
        running = real.start(*command, epochs=6)
        with real.between_trials(running):
            pictures.rename(away)
        _, err = running.communicate(timeout=240)
        states = [trial.state.name for trial in real.study.trials]
        params = real.study.trials[-1].params
        (line,) = [line for line in err.splitlines() if line.startswith("flowersweep: ")]

        assert running.returncode == 1
        assert states == ["COMPLETE"] * (len(states) - 1) + ["WAITING"]
        assert line.startswith(
            f"flowersweep: Trial {len(states) - 1} could not be run and waits; the same command resumes"
        )
        assert str(pictures) in line
        away.rename(pictures)
        code, _, err = real.run(*command, epochs=6)
        assert code == 0, err
        assert [trial.state.name for trial in real.study.trials] == ["COMPLETE"] * 3
        assert real.study.trials[len(states) - 1].params == params
        assert [run.info.status for run in real.runs("trial")] == ["FINISHED"] * 3

    def test_pictures_that_are_changed_meanwhile(self, real: Real, drawn: Path, tmp_path: Path) -> None:
        """No trial trains on other pictures than those before it; with the old ones back the same command goes on."""
        pictures = tmp_path / "pictures"
        shutil.copytree(drawn, pictures)
        command = (f"data.dir={pictures}", "optimizer.learning_rate=0.001,0.002,0.003")
        running = real.start(*command, epochs=6)
        changed = next(pictures.rglob("*.jpg"))
        with real.between_trials(running):
            aside = changed.rename(tmp_path / changed.name)
        _, err = running.communicate(timeout=240)
        (line,) = [line for line in err.splitlines() if line.startswith("flowersweep: ")]
        assert running.returncode == 1
        assert f"The pictures in {pictures} are no longer those that the sweep started with" in line
        assert real.study.trials[-1].state.name == "WAITING"
        aside.rename(changed)
        code, _, err = real.run(*command, epochs=6)
        assert code == 0, err
        assert [trial.state.name for trial in real.study.trials] == ["COMPLETE"] * 3
        digests = {one.dataset.digest for run in real.runs("trial") for one in run.inputs.dataset_inputs}
        assert len(digests) == 1

    def test_a_store_that_is_away_for_a_while(self, real: Real) -> None:
        """While MLflow's database is locked trials go on; afterwards the history is that of an undisturbed sweep."""
        running = real.start("optimizer.learning_rate=0.001,0.002", "trainer.patience=null", epochs=40)
        real.wait_for_training(running)
        with closing(
            sqlite3.connect(real.results / "mlflow.db", timeout=30, isolation_level=None)
        ) as database:
            database.execute("BEGIN EXCLUSIVE")
            until = time.monotonic() + 60
            while not list(real.results.glob("outbox/*/records.jsonl")):
                assert time.monotonic() < until
                time.sleep(0.05)
            time.sleep(1)
            database.execute("ROLLBACK")
        _, err = running.communicate(timeout=240)
        assert running.returncode == 0, err
        assert [trial.state.name for trial in real.study.trials] == ["COMPLETE"] * 2
        runs = real.runs("trial")
        assert [run.info.status for run in runs] == ["FINISHED"] * 2
        for run, trial in zip(runs, real.study.trials, strict=True):
            points = real.store.get_metric_history(run.info.run_id, "val_accuracy")
            assert sorted(point.step for point in points) == list(range(1, 41))
            assert run.data.metrics["best/val_accuracy"] == trial.value
        assert not list(real.results.glob("outbox/*/records.jsonl"))


class TestPictures:
    def test_other_pictures_are_another_study(self, real: Real, drawn: Path, tmp_path: Path) -> None:
        """The same command with other pictures trains on them; with the same ones elsewhere it trains nothing."""
        other, moved = (shutil.copytree(drawn, tmp_path / name) for name in ("other", "moved"))
        next(path for path in other.rglob("*") if path.is_file()).unlink()
        for folder, n_runs in ((drawn, 1), (moved, 1), (other, 2)):
            code, _, err = real.run(f"data.dir={folder}", "seed=0", epochs=1)
            assert code == 0, err
            assert len(real.runs("trial")) == n_runs
        assert len(real.runs("study")) == 2

    def test_missing_pictures(self, real: Real) -> None:
        """Pictures that are not there end the sweep before it has begun, in a sentence, and leave nothing behind."""
        code, out, err = real.run("data.dir=nowhere", "aug=none,RandomFlip")
        assert (code, out) == (2, "")
        assert err.startswith("flowersweep: The picture folder ")
        assert err.count("\n") == 1
        assert not real.results.exists()


class TestRelativePaths:
    def test_mean_where_the_command_was_typed(self, real: Real, drawn: Path) -> None:
        """Trials that run in folders of their own find pictures, results, cache and storage all the same."""
        shutil.copytree(drawn, real.folder / "pictures")
        typed = [
            "data.dir=pictures",
            "tracking.dir=here",
            "hydra.job.chdir=true",
            "paths.cache=cache",
        ]
        code, _, err = real.run(*typed, "seed=0,1", f"{TYPED}storage=sqlite:///here/s.db", epochs=1)
        assert code == 0, err
        found = [path.relative_to(real.folder).as_posix() for path in real.folder.rglob("*.db")]
        assert sorted(found) == ["here/mlflow.db", "here/s.db"]
        assert not list(real.folder.glob("here/sweeps/*/trial_*/*"))


class TestRuns:
    def test_grid(self, real: Real) -> None:
        """A parent run with leaderboard, plots and a command; below it a run per trial, found by searched values."""
        code, out, err = real.run("optimizer.learning_rate=0.00001,0.01,0.001", "tracking.log_figures=true")
        (parent,), trials = real.runs("study"), real.runs("trial")

        assert code == 0, err
        assert [run.info.run_name for run in trials] == [
            "trial-0000 learning_rate=1e-05",
            "trial-0001 learning_rate=0.01",
            "trial-0002 learning_rate=0.001",
        ]
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

        again, _, told = real.run("optimizer.learning_rate=0.00001,0.01,0.001", "tracking.log_figures=true")
        assert again == 0
        assert "is done: 3 trials." in told
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
        assert code == 1
        assert "2 trials have failed, so the sweep was stopped" in err
        assert parent.info.status == "FAILED"
        failed = [run for run in trials if run.info.status == "FAILED"]
        assert len(failed) == 2
        assert all("TrainingError" in run.data.tags["failure"] for run in failed)
        assert "trial 1 failed: TrainingError" in out

    def test_pruned_trials_are_finished_runs(self, real: Real) -> None:
        """What the median pruner ends is PRUNED in the study, and FINISHED with a tag in MLflow.

        After a step of 1 every weight is far too large, and the loss with it.
        """
        code, _, err = real.run(
            "optimizer.learning_rate=tag(log,interval(0.000001,1.0))",
            f"{TYPED}n_trials=3",
            "hydra/sweeper/pruner=median",
            f"{TYPED}pruner.n_startup_trials=1",
            f"{TYPED}pruner.n_warmup_steps=0",
            f"{TYPED}pruner.n_min_trials=1",
            f"{TYPED}enqueue=[{{optimizer.learning_rate: 0.000001}}, {{optimizer.learning_rate: 1.0}}]",
            "objective.metric=best/val_loss",
            epochs=4,
        )
        states = [trial.state.name for trial in real.study.trials]
        assert code == 0, err
        assert states[:2] == ["COMPLETE", "PRUNED"]
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
            assert trial.intermediate_values == pytest.approx(dict(enumerate(values, start=1)))

    def test_duplicates(self, real: Real) -> None:
        """A trial with the values of another has a run that names it, and no figures of its own; the report says so."""
        code, out, err = real.run(
            "model.dense_units=4,8", "hydra/sweeper/sampler=random", f"{TYPED}n_trials=3", epochs=1
        )
        runs = real.runs("trial")
        (taken,) = (run for run in runs if "taken_from" in run.data.tags)
        original = next(run for run in runs if run.data.tags["trial"] == taken.data.tags["taken_from"])
        assert code == 0, err
        assert taken.info.status == "FINISHED"
        assert taken.data.params["model.dense_units"] == original.data.params["model.dense_units"]
        measured = {name for name in taken.data.metrics if not name.startswith("searched/")}
        assert measured == {"mean", "n", "order", "rank"}  # no epochs and no best epoch
        assert f"as trial {original.data.tags['trial']}" in out
        page = real.report()
        assert "1 trial had the same values as another one, and reused its result without training." in page

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
        assert sum(line.startswith("1 ") for line in out.splitlines()) == len(study.best_trials)


def test_interrupted(real: Real) -> None:
    """An interrupted sweep of two workers exits with 128 + signal; its runs are KILLED, its trials wait, and it can go on."""
    command = "optimizer.learning_rate=0.001,0.01", f"{TYPED}n_jobs=2", "trainer.patience=null"
    running = real.start(*command, epochs=100_000)
    try:
        real.wait_for_training(running, 2)
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=240)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)

    assert running.returncode == 128 + signal.SIGTERM, err
    assert "interrupted by SIGTERM" in err
    assert "Traceback" not in err
    assert "2 of 2 trials are left" in out
    assert Counter(run.info.status for run in real.runs("trial")) == {"KILLED": 2}
    assert [run.info.status for run in real.runs("study")] == ["KILLED"]
    assert {trial.state.name for trial in real.study.trials} == {"WAITING"}


@pytest.mark.slow
def test_what_cannot_be_shown_is_finished(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the display at the end is told, and the study's run stays what its trials have made it."""

    def fails(*_: object) -> None:
        raise ValueError("no room on the screen")

    monkeypatch.setattr("flowersweep.sweep.run.show_summary", fails)
    code, _, err = real.run("optimizer.learning_rate=0.001", epochs=1)
    assert (code, "no room on the screen" in err) == (1, True)
    assert [run.info.status for run in real.runs("study")] == ["FINISHED"]
