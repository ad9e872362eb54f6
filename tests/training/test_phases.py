"""The phases of a run, and which of their epochs a study hears of."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import tensorflow as tf

from flowersweep.config import Config
from flowersweep.errors import Pruned, TrainingError
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import prepare_store
from flowersweep.training import RunContext, train
from flowersweep.training.dataset import load_pictures
from flowersweep.training.phases import build

MakeConfig = Callable[..., Config]
FINE_TUNED = (
    "model=mobilenet_ft",
    "model.weights=null",
    "model.alpha=0.35",
    "model.fine_tune_at=150",
    "model.head.epochs=2",
    "tracking.log_figures=false",
    "tracking.log_model=false",
)


class Study:
    """Hears of a run's epochs, and ends it after one of them."""

    def __init__(self, prune_after: int | None = None) -> None:
        self.heard: list[tuple[int, float]] = []
        self.run_id = ""
        self.prune_after = prune_after

    def member(self) -> RunContext:
        """What the run belongs to."""
        return RunContext(on_start=self.started, on_epoch=self.epoch)

    def started(self, run_id: str) -> None:
        """Keep the run's id."""
        self.run_id = run_id

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Keep the value; end the run if it is time."""
        self.heard.append((number, values["val_accuracy"]))
        if number == self.prune_after:
            raise Pruned("enough")


def accuracies(config: Config, run_id: str) -> list[tuple[int, float]]:
    """Every epoch of a run with its accuracy, as logged."""
    service = client(prepare_store(Path(config.tracking.dir)).uri)
    return [(point.step, point.value) for point in service.get_metric_history(run_id, "val_accuracy")]


@pytest.mark.slow
def test_pruning_begins_with_the_last_phase(make_config: MakeConfig, tmp_path: Path) -> None:
    """A study hears of no epoch of a head from the cache; the first one after it is epoch 1, and the run may end there."""
    config = make_config(*FINE_TUNED, "trainer.epochs=3", f"paths.cache={tmp_path}/cache")
    train(config)
    study = Study(prune_after=1)
    with pytest.raises(Pruned):
        train(config, context=study.member())
    logged = accuracies(config, study.run_id)
    run = client(prepare_store(Path(config.tracking.dir)).uri).get_run(study.run_id)

    assert [step for step, _ in logged] == [1, 2, 3]
    assert study.heard == [(1, logged[2][1])]
    assert (run.info.status, run.data.tags["trial.state"]) == ("FINISHED", "PRUNED")
    assert run.data.metrics["best/epoch"] == run.data.metrics["total/epochs"] == 3
    assert run.data.metrics["best/val_accuracy"] == logged[2][1]


@pytest.mark.slow
def test_epochs_of_the_last_phase_are_counted_alike(make_config: MakeConfig) -> None:
    """With a head of two epochs or with none, a study hears of as many epochs, by the same numbers."""
    heard = []
    for start in ("head", "null"):
        study = Study()
        train(make_config(*FINE_TUNED, f"model.init_from={start}"), context=study.member())
        heard.append([number for number, _ in study.heard])

    assert heard == [[1, 2], [1, 2]]


def test_a_network_that_does_not_fit_into_the_memory_is_one_message(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its variables are allocated before the run starts."""

    def exhausted(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "Failed to allocate")

    monkeypatch.setattr("flowersweep.training.phases.build_network", exhausted)
    config = make_config()
    with pytest.raises(TrainingError, match=r"^The memory of the GPU or of the machine is exhausted;"):
        build(config, load_pictures(config), prepare_store(Path(config.tracking.dir)))
