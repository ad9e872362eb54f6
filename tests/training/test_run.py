"""One run from configuration to tracking store, with real parts and everything small."""

import csv
import errno
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from sklearn.metrics import f1_score

from flowersweep.cache.checkpoints import checkpoint_path
from flowersweep.config import Config
from flowersweep.errors import DataError, Pruned, TrainingError
from flowersweep.fields import VALIDATED
from flowersweep.interrupt import Interrupted
from flowersweep.tracking.closing import closing as run_closing
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import prepare_store, sqlite_uri
from flowersweep.training import Result, RunContext, train
from flowersweep.training.run import failures_recorded

MakeConfig = Callable[..., Config]

ARTIFACTS = {
    "augmentation_preview.png",
    "confident_mistakes.png",
    "config",
    "confusion_matrix.png",
    "curves.png",
    "history.csv",
    "labels.json",
    "validation_predictions.csv",
}
PER_EPOCH = {"loss", "accuracy", *VALIDATED, "learning_rate", "seconds", "images_per_second"}
QUICK = ("tracking.log_model=false", "tracking.log_figures=false")


def store_of(config: Config) -> MlflowClient:
    """A client of the store a configuration logs to."""
    return client(sqlite_uri(Path(config.tracking.dir) / "mlflow.db"))


def logged(config: Config, result: Result) -> Run:
    """What the store has of a run."""
    return store_of(config).get_run(result.run_id)


def all_runs(config: Config) -> list[Run]:
    """Every run of the configuration's experiment."""
    service = store_of(config)
    experiment = service.get_experiment_by_name(config.tracking.experiment)
    return list(service.search_runs([experiment.experiment_id])) if experiment else []


def losses(config: Config, result: Result) -> list[float]:
    """Training loss of each epoch, as logged."""
    return [point.value for point in store_of(config).get_metric_history(result.run_id, "loss")]


class TestWhatIsLogged:
    @pytest.mark.slow
    def test_everything_of_a_run(self, make_config: MakeConfig) -> None:
        """A finished run has parameters, metrics per epoch and in all, the data set, artifacts and a model."""
        config = make_config("aug=RandomFlip", "data.test_split=0.2")
        result = train(config, overrides=["aug=RandomFlip"])
        run = logged(config, result)
        service = store_of(config)

        assert run.info.status == "FINISHED"
        assert run.data.params["aug.name"] == "RandomFlip"
        assert run.data.params["optimizer.learning_rate"] == "0.001"
        assert not any(key.startswith(("paths", "tracking")) for key in run.data.params)
        for name in PER_EPOCH:
            history = service.get_metric_history(result.run_id, name)
            assert [point.step for point in history] == [1, 2]
        assert {"best/val_accuracy", "last/val_accuracy", "test/accuracy", "best/epoch"} <= set(
            run.data.metrics
        )
        assert run.data.metrics["model/parameters"] == run.data.metrics["model/trained_parameters"]
        assert {item.path for item in service.list_artifacts(result.run_id)} == ARTIFACTS
        (used,) = run.inputs.dataset_inputs
        profile = json.loads(used.dataset.profile)
        assert (profile["training"], profile["validation"], profile["test"]) == (36, 12, 12)
        # The run's own; the profile is that of the experiment's first run with these pictures.
        own = [run.data.tags[f"pictures.{part}"] for part in ("training", "validation", "test")]
        assert own == ["36", "12", "12"]
        assert used.tags[0].value == "training, validation, test"
        assert len(run.outputs.model_outputs) == 1

    @pytest.mark.slow
    def test_objective_is_the_best_epochs_and_the_saved_weights(
        self, make_config: MakeConfig, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The objective, the logged metric and that of the logged predictions are one number, for every objective.

        What takes seconds before and after the training is announced.
        """
        config = make_config("trainer.epochs=4", "objective.metric=best/val_macro_f1")
        with caplog.at_level("INFO", logger="flowersweep.training.run"):
            result = train(config)
        opening, storing = [
            one.getMessage() for one in caplog.records if one.name == "flowersweep.training.run"
        ]
        assert opening == f"Opening the results in {config.tracking.dir} and starting TensorFlow ..."
        assert storing == f"Storing the results of epoch {result.metrics['best/epoch']:.0f} ..."
        folder = Path(logged(config, result).info.artifact_uri.removeprefix("file://"))
        rows = list(csv.DictReader(io.StringIO((folder / "validation_predictions.csv").read_text())))
        of_predictions = f1_score(*([row[k] for row in rows] for k in ("true", "predicted")), average="macro")
        values = [p.value for p in store_of(config).get_metric_history(result.run_id, "val_macro_f1")]

        assert result.objective == result.metrics["best/val_macro_f1"] == max(values)
        assert of_predictions == pytest.approx(result.objective)
        accuracy = np.mean([row["true"] == row["predicted"] for row in rows])
        assert accuracy == pytest.approx(result.metrics["best/val_accuracy"])
        assert "recall/" in (folder / "history.csv").read_text()
        assert not any("recall" in name for name in logged(config, result).data.metrics)

    @pytest.mark.slow
    def test_the_learning_rate_really_used(self, make_config: MakeConfig) -> None:
        """A cosine's rate is logged as each epoch began, falling from the configured one."""
        config = make_config("schedule=cosine", "schedule.final_fraction=0", "trainer.epochs=4", *QUICK)
        result = train(config)
        rates = [p.value for p in store_of(config).get_metric_history(result.run_id, "learning_rate")]

        expected = [1e-3 * (1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in range(4)]
        assert rates == pytest.approx(expected, rel=1e-4)

    @pytest.mark.slow
    def test_event_files_for_tensorboard(self, make_config: MakeConfig) -> None:
        """With tracking.tensorboard the run keeps one event file, which has every epoch's values."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        config = make_config("tracking.tensorboard=true", *QUICK)
        result = train(config)
        folder = Path(logged(config, result).info.artifact_uri.removeprefix("file://")) / "tensorboard"
        (file,) = folder.iterdir()
        events = EventAccumulator(str(file), size_guidance={"tensors": 0}).Reload()

        assert set(events.Tags()["tensors"]) == PER_EPOCH
        assert [event.step for event in events.Tensors("val_accuracy")] == [1, 2]


@pytest.mark.slow
class TestReproducibility:
    def test_one_seed_one_result(self, make_config: MakeConfig) -> None:
        """Two runs with one seed log identical losses to the last bit; another seed gives others."""
        configs = [make_config("aug=RandomRotation", f"seed={seed}", *QUICK) for seed in (7, 7, 8)]
        first, second, other = [losses(config, train(config)) for config in configs]

        assert first == second
        assert first != other


class TestFailures:
    @pytest.mark.slow
    def test_a_lost_loss_ends_the_run_failed(self, make_config: MakeConfig) -> None:
        """A loss that is not a number ends FAILED, with the reason as a tag and the traceback as an artifact."""
        config = make_config("optimizer=sgd", "optimizer.learning_rate=10", "trainer.epochs=5", *QUICK)
        with pytest.raises(TrainingError, match=r"lower optimizer\.learning_rate"):
            train(config)
        (run,) = all_runs(config)

        assert run.info.status == "FAILED"
        assert run.data.tags["failure"].startswith("TrainingError: ")
        assert "failure.txt" in {item.path for item in store_of(config).list_artifacts(run.info.run_id)}

    @pytest.mark.parametrize(
        ("error", "again", "status", "state"),
        [
            (OSError(errno.EIO, "Input/output error"), True, RunStatus.KILLED, "WAITING"),
            (OSError(errno.EIO, "Input/output error"), False, RunStatus.FAILED, None),
            (FileNotFoundError(errno.ENOENT, "No such file"), True, RunStatus.FAILED, None),
            (Pruned("enough"), True, RunStatus.FINISHED, "PRUNED"),
        ],
    )
    def test_a_trial_that_is_run_again_has_not_failed(
        self, tmp_path: Path, error: Exception, *, again: bool, status: RunStatus, state: str | None
    ) -> None:
        """The run of a trial that waits for its disk is KILLED with a tag; a run of its own is FAILED, and keeps both."""
        store = prepare_store(tmp_path)
        tracker = MLflowTracker.start(store, "e", "trial")
        with pytest.raises(type(error)), run_closing(tracker), failures_recorded(tracker, again=again):
            raise error

        tags = client(store.uri).get_run(tracker.run_id).data.tags
        assert (tracker.status, tags.get("trial.state")) == (status, state)

    @pytest.mark.slow
    def test_a_store_that_stays_locked_costs_a_trial_nothing(self, make_config: MakeConfig) -> None:
        """A trial that ends meanwhile has its value; what it recorded is stored when the store is opened again."""
        config = make_config("trainer.epochs=3", *QUICK)

        def lock(number: int, _values: Mapping[str, float]) -> None:
            if number == 1:
                other.execute("BEGIN EXCLUSIVE")

        prepare_store(Path(config.tracking.dir))
        with closing(sqlite3.connect(Path(config.tracking.dir) / "mlflow.db", isolation_level=None)) as other:
            result = train(config, context=RunContext(on_epoch=lock))
            other.execute("ROLLBACK")
        (before,) = all_runs(config)
        store = prepare_store(Path(config.tracking.dir))
        (run,) = all_runs(config)

        assert (before.info.status, run.info.status) == ("RUNNING", "FINISHED")
        assert run.data.metrics["best/val_accuracy"] == result.objective
        points = client(store.uri).get_metric_history(result.run_id, "loss")
        assert [point.step for point in points] == [1, 2, 3]

    def test_bad_pictures_start_no_run(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """An unreadable picture is named, and nothing is written to the store."""
        for name in ("daisy", "roses"):
            folder = tmp_path / "pictures" / name
            folder.mkdir(parents=True)
            for number in range(5):
                (folder / f"{number}.jpg").write_bytes(b"")
        config = make_config(f"data.dir={tmp_path}/pictures")

        with pytest.raises(DataError, match=r"daisy/0\.jpg"):
            train(config)
        assert not Path(config.tracking.dir).exists()


def started(config: Config, *overrides: str) -> subprocess.Popen[str]:
    """`python -m flowersweep` with many epochs, once its run is in the store."""
    command = [
        *(sys.executable, "-m", "flowersweep", "data=folder", f"data.dir={config.data.dir}"),
        *(f"paths.cache={config.paths.cache}", f"tracking.dir={config.tracking.dir}"),
        *("trainer.image_size=32", "trainer.epochs=100000", "trainer.patience=null", *overrides),
    ]
    prepare_store(Path(config.tracking.dir))  # a copy, which another process would take seconds to make
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(r"epoch +1/", line):
            time.sleep(0.3)  # the epoch is written to the store after its line
            return process
    pytest.fail(f"the run ended before its first epoch, with code {process.wait()}")


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
class TestInterruption:
    def test_a_signal_ends_the_run_killed(self, make_config: MakeConfig) -> None:
        """SIGTERM ends the run KILLED, with the shell's exit code for the signal."""
        config = make_config()
        process = started(config)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=240)
        (run,) = all_runs(config)

        assert process.returncode == 143
        assert said.splitlines()[-1].startswith(
            "flowersweep: interrupted by SIGTERM; the same command goes on"
        )
        assert run.info.status == "KILLED"
        assert run.data.tags["failure"] == "Interrupted: interrupted by SIGTERM"

    def test_the_next_run_closes_what_a_sigkill_left(self, make_config: MakeConfig) -> None:
        """After SIGKILL the run is RUNNING only until another one begins, then KILLED."""
        config = make_config(*QUICK)
        process = started(config)
        process.kill()
        process.communicate()
        assert [run.info.status for run in all_runs(config)] == ["RUNNING"]
        time.sleep(0.1)
        train(config)

        assert sorted(run.info.status for run in all_runs(config)) == ["FINISHED", "KILLED"]


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
class TestSavedModel:
    def test_gives_the_same_probabilities_elsewhere(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """Loaded by MLflow in another process, the model repeats the evaluation's probabilities from JPEG pixels."""
        config = make_config(
            "model=mobilenet_ft", "model.weights=null", "model.alpha=0.35", "model.head.epochs=1"
        )
        result = train(config)
        folder = Path(logged(config, result).info.artifact_uri.removeprefix("file://"))
        script = f"""
import csv, sys
import mlflow, numpy as np
from flowersweep.data import decode
from pathlib import Path
mlflow.set_tracking_uri({result.tracking_uri!r})
model = mlflow.pyfunc.load_model("runs:/{result.run_id}/model")
rows = list(csv.DictReader(open({str(folder / "validation_predictions.csv")!r})))
pictures = np.stack([decode(Path({str(config.data.dir)!r}, row["path"]), 32) for row in rows]).astype(np.float32)
expected = np.array([[float(v) for k, v in row.items() if k.startswith("p_")] for row in rows])
print(np.abs(model.predict(pictures) - expected).max())
"""
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=tmp_path,
        )

        assert done.returncode == 0, done.stderr
        assert float(done.stdout.splitlines()[-1]) < 1e-5


class _Interruption:
    """A function to call after each epoch, which raises SIGTERM once.

    Args:
        after: The number of the epoch.
    """

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_the_same_command(make_config: MakeConfig) -> None:
    """In the same run, after its last epoch; no epoch is logged twice, although the interruption came before the checkpoint."""
    config = make_config("trainer.epochs=3", "model.dropout=0.5", *QUICK)
    with pytest.raises(Interrupted) as interrupted:
        train(config, context=RunContext(on_any_epoch=_Interruption(after=2)))
    (run,) = all_runs(config)
    assert (run.info.status, "failure" in run.data.tags) == ("KILLED", True)
    assert interrupted.value.remedy == "the same command goes on after epoch 1"
    result = train(config)

    (run,) = all_runs(config)
    assert (run.info.run_id, run.info.status) == (result.run_id, "FINISHED")
    assert run.data.tags["resumed"] == "after epoch 1"
    assert "failure" not in run.data.tags
    undisturbed = train(config)  # of a run that has finished, nothing is taken
    assert len(all_runs(config)) == 2
    for name in PER_EPOCH - {"seconds", "images_per_second"}:
        histories = [store_of(config).get_metric_history(one.run_id, name) for one in (result, undisturbed)]
        resumed, whole = ([(point.step, point.value) for point in points] for points in histories)
        assert resumed == whole
        assert [step for step, _ in resumed] == [1, 2, 3]
    assert not checkpoint_path(Path(str(config.paths.cache)), result.run_id).exists()


@pytest.mark.slow
def test_a_run_that_was_killed_when_it_took_over_a_checkpoint(make_config: MakeConfig) -> None:
    """It has recorded nothing yet: when it goes on, its settings and the epochs before are recorded."""
    config = make_config(*QUICK)
    with pytest.raises(Interrupted):
        train(config, context=RunContext(on_any_epoch=_Interruption(after=2)))
    (first,) = all_runs(config)
    name, experiment = str(first.info.run_name), config.tracking.experiment
    taker = MLflowTracker.start(prepare_store(Path(config.tracking.dir)), experiment, name)
    taker.end(RunStatus.KILLED)
    cache = Path(str(config.paths.cache))
    checkpoint_path(cache, first.info.run_id).rename(checkpoint_path(cache, taker.run_id))
    result = train(config)

    run = logged(config, result)
    assert result.run_id == taker.run_id
    assert run.data.params == first.data.params
    assert run.data.metrics["model/parameters"] == first.data.metrics["model/parameters"]
    assert [point.step for point in store_of(config).get_metric_history(result.run_id, "loss")] == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("shares", [True, False])
def test_a_trial_of_a_silent_machine_goes_on_elsewhere(
    *, shares: bool, make_config: MakeConfig, tmp_path: Path
) -> None:
    """In a new run, from its checkpoint if the folder is shared; what the other machine writes later changes nothing."""
    folder = f"paths.checkpoints={tmp_path}/shared"
    there = make_config("trainer.epochs=3", "model.dropout=0.5", *QUICK, folder)
    others = ["tracking.experiment=named-by-another-folder", folder if shares else f"{folder}/not"]
    here = make_config("trainer.epochs=3", "model.dropout=0.5", *QUICK, *others)
    store = prepare_store(Path(here.tracking.dir))
    parent = MLflowTracker.start(store, there.tracking.experiment, "study").run_id
    context = RunContext(parent_run_id=parent, tags={"study": "s", "kind": "trial", "trial": 1})
    with pytest.raises(Interrupted):
        train(there, context=replace(context, on_any_epoch=_Interruption(after=2)))
    (first,) = (run for run in all_runs(there) if run.info.run_id != parent)
    # As if its machine was cut off in that epoch, and its process did not know.
    store_of(here).set_tag(first.info.run_id, "flowersweep.process_start", "another-boot pid:[1] 1")
    store_of(here).set_tag(first.info.run_id, "flowersweep.host", "another")
    store_of(here).update_run(first.info.run_id, status="RUNNING")
    result = train(here, context=replace(context, begun_before=True))
    comes_back = MLflowTracker(store, first.info.run_id)
    comes_back.metrics({"loss": 9.0}, step=2)
    comes_back.end(RunStatus.FINISHED)

    run, before = logged(here, result), store_of(here).get_run(first.info.run_id)
    assert (run.info.status, before.info.status) == ("FINISHED", "KILLED")
    assert before.data.tags["flowersweep.superseded_by"] == result.run_id
    assert before.data.tags["flowersweep.closed_because"].startswith(
        "its machine another gave no sign of life"
    )
    assert {run.data.tags[tag] for tag in ("resumed", "restarted") if tag in run.data.tags} == {
        f"after epoch 1 of run {first.info.run_id}"
        if shares
        else f"at the first epoch: there is no checkpoint of run {first.info.run_id} here with which it could go on"
    }
    assert run.data.params == before.data.params
    assert losses(here, result)[0] == losses(here, Result(0.0, {}, first.info.run_id, store.uri, 0))[0]
    assert [point.step for point in store_of(here).get_metric_history(result.run_id, "loss")] == [1, 2, 3]
    late = MLflowTracker.start(
        store, there.tracking.experiment, "late", parent_run_id=parent, tags=context.tags
    ).run_id
    taken = train(here, context=replace(context, begun_before=True))
    assert (taken.run_id, taken.metrics) == (result.run_id, result.metrics)
    assert store_of(here).get_run(late).data.tags["flowersweep.superseded_by"] == result.run_id
