"""Runs that are killed in the middle of epochs, as `kill -9` does, and go on with the same command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import sqlite_uri

# Rates and patience with which both the plateau schedule and early stopping act.
COMMON = (
    "data=folder",
    "trainer.image_size=32",
    "trainer.batch_size=16",
    "trainer.epochs=12",
    "trainer.patience=3",
    "schedule.patience=1",
    "trainer.callbacks=[own_killer.Killer]",
    "tracking.log_figures=false",
)
RANDOM = ("model.weights=null", "model.alpha=0.35")
# The kills: the maximum number of epochs of the phase, and the epoch in it, from 0.
MODELS = {
    "cnn": (["model=cnn", "aug=RandomFlip", "model.dropout=0.3", "optimizer.learning_rate=0.003"], "12/2"),
    "frozen": (["model=mobilenet_frozen", *RANDOM, "aug=RandomRotation", "optimizer.learning_rate=0.3"], "12/3"),
    "fine-tuned": (["model=mobilenet_ft", *RANDOM, "model.head.epochs=4", "optimizer.learning_rate=0.003", "optimizer.ema=0.9", "optimizer.layer_decay=0.9"], "4/2 12/1"),
}  # fmt: skip
KILLER = """
import os, signal, keras

class Killer(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.position = f"{self.params['epochs']}/{epoch}"

    def on_train_batch_end(self, batch, logs=None):
        if os.environ.get("KILL_IN") == self.position:
            os.kill(os.getpid(), signal.SIGKILL)
"""
TIMES = {"seconds", "images_per_second", "total/seconds"}
History = dict[str, list[tuple[int, float]]]


class Command:
    """A training, started again and again with one command."""

    def __init__(self, folder: Path, drawn: Path, overrides: list[str]) -> None:
        self._folder = folder
        (folder / "own_killer.py").write_text(KILLER)
        self._cache = folder / "cache"
        self._arguments = [*COMMON, *overrides, f"data.dir={drawn}", f"paths.cache={self._cache}"]

    def run(self, results: str, kill_in: str = "") -> int:
        """The exit code of a process that is killed in an epoch."""
        given = {"FLOWERSWEEP_ALLOW": str(self._folder / "own_killer.py"), "KILL_IN": kill_in}
        command = [
            sys.executable,
            "-m",
            "flowersweep",
            *self._arguments,
            f"tracking.dir={self._folder / results}",
        ]
        done = subprocess.run(
            command, env={**os.environ, **given}, capture_output=True, text=True, check=False, timeout=500
        )
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr
        return done.returncode

    def checkpoints(self) -> list[Path]:
        """The checkpoints in the cache."""
        return [*self._cache.glob("checkpoints/*.npz"), *self._cache.glob("checkpoints/*.part")]

    def history(self, results: str) -> History:
        """Every value of every metric of the only run; it has finished."""
        service = client(sqlite_uri(self._folder / results / "mlflow.db"))
        (run,) = service.search_runs([one.experiment_id for one in service.search_experiments()])
        assert run.info.status == "FINISHED"
        assert not {"failure", "flowersweep.closed_because"} & set(run.data.tags)
        return {
            name: [(point.step, point.value) for point in service.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("model", MODELS)
def test_a_killed_run_has_the_epochs_of_an_undisturbed_one(model: str, tmp_path: Path, drawn: Path) -> None:
    """Every metric of every epoch is equal to the last bit, in one run; rate and end of the training, too."""
    overrides, kills = MODELS[model]
    command = Command(tmp_path, drawn, overrides)
    for kill_in in kills.split():
        assert command.run("killed", kill_in) == -signal.SIGKILL
        assert len(command.checkpoints()) == 1
    assert command.run("killed") == 0
    assert command.checkpoints() == []
    assert command.run("undisturbed") == 0

    killed, undisturbed = command.history("killed"), command.history("undisturbed")
    assert {name: values for name, values in killed.items() if name not in TIMES} == {
        name: values for name, values in undisturbed.items() if name not in TIMES
    }
    n_epochs = len(undisturbed["loss"])
    assert [step for step, _ in killed["seconds"]] == list(range(1, n_epochs + 1))
    rates = {rate for _, rate in undisturbed["learning_rate"]}
    assert len(rates) > 1 + (model == "fine-tuned")  # the plateau schedule has acted
    assert n_epochs < 12 + 4 * (model == "fine-tuned")  # and so has early stopping
