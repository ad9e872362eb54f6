"""Tests of what a run logs: which keys of its configuration are parameters."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from conftest import MakeConfig
from flowersweep.tracking.lookup import Files
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.training.dataset import load_pictures
from flowersweep.training.history import History
from flowersweep.training.logs.record import config_text, parameters, record_figures, record_start
from flowersweep.training.probabilities import Predictions
from flowersweep.training.run import tags
from texts import ODD_NAMES


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A SQLite store shared by the tests of this file."""
    return prepare_store(tmp_path_factory.mktemp("results"))


def test_parameters_are_what_can_change_a_result(make_config: MakeConfig) -> None:
    """Neither places nor empty values nor settings of speed are among them."""
    names = parameters(make_config("aug=RandomFlip"))
    assert names["aug.name"] == "RandomFlip"
    assert names["optimizer.learning_rate"] == 0.001
    assert names["trainer.batch_size"] == 16
    silent = (
        "paths",
        "tracking",
        "data.dir",
        "bank.engine",
        "trainer.threads",
        "objective",
        "optimizer.clipnorm",
    )
    assert not [name for name in names if name.startswith(silent)]


def test_only_the_settings_that_a_split_uses_are_parameters(make_config: MakeConfig) -> None:
    """A fraction that decided nothing is not shown beside the folds that did."""

    def of(*overrides: str) -> dict[str, object]:
        found = parameters(make_config(*overrides))
        del found["data.resize"]
        return {key.removeprefix("data."): value for key, value in found.items() if key.startswith("data.")}

    shared = {"source": "folder", "unreadable": "error", "split_seed": 123, "test_split": 0.0}
    assert of() == {**shared, "split": "keras", "validation_split": 0.2}
    assert of("data.split=stratified", "data.folds=3") == {
        **shared,
        "split": "stratified",
        "folds": 3,
        "fold": 0,
    }
    assert of("data.split=folders") == {"source": "folder", "unreadable": "error", "split": "folders"}


def test_what_somebody_has_set_is_a_parameter(make_config: MakeConfig) -> None:
    """A sweep over a silent key finds it among the parameters of its trials."""
    overrides = ["trainer.threads=1", "+model.learning_rate=0.01"]
    names = parameters(make_config("trainer.threads=1", "model.learning_rate=0.01"), overrides)
    assert (names["trainer.threads"], names["model.learning_rate"]) == (1, 0.01)


def test_tags_say_what_kind_of_run_it_is_and_what_for(make_config: MakeConfig) -> None:
    """By these the best of single runs is found."""
    found = tags(make_config("objective.metric=best/val_loss"))
    assert (found["kind"], found["objective"]) == ("run", "best/val_loss")


@pytest.mark.slow
def test_no_password_is_recorded(make_config: MakeConfig, store: Store) -> None:
    """The address of a store is kept without its password, in the configuration and among the overrides."""
    address = "postgresql+psycopg://ada:secret@host/runs"
    config = make_config(f"tracking.uri={address}")
    tracker = MLflowTracker.start(store, "e", "run")

    overrides = [f"tracking.uri={address}", "model=cnn"]
    record_start(tracker, config, load_pictures(config), overrides, f"flowersweep {' '.join(overrides)}")

    hidden = address.replace("secret", "***")
    run, files = client(store.uri).get_run(tracker.run_id), Files(store, tracker.run_id)
    names = ("config/config.yaml", "config/overrides.txt", "config/provenance.json")
    config_written, overrides_written, provenance_written = (files.text(name) or "" for name in names)
    assert f"uri: {hidden}" in config_written
    assert overrides_written == f"tracking.uri={hidden}\nmodel=cnn\n"
    assert hidden in provenance_written
    assert "secret" not in f"{run} {config_written} {provenance_written}"


def test_classes_of_any_name_do_not_hide_other_facts_of_the_data(
    make_config: MakeConfig, store: Store, drawn: Path, tmp_path: Path
) -> None:
    """A class may be called `validation`: how many pictures validated is told all the same."""
    for kind, name in zip(
        sorted(drawn.iterdir()), ("validation", "pictures", "1e5", "test", "no"), strict=True
    ):
        shutil.copytree(kind, tmp_path / "named" / name)
    config = make_config(f"data.dir={tmp_path}/named")
    tracker = MLflowTracker.start(store, "e", "run")

    record_start(tracker, config, load_pictures(config), [])

    (used,) = client(store.uri).get_run(tracker.run_id).inputs.dataset_inputs
    assert json.loads(used.dataset.profile) == {
        "pictures": 60,
        "training": 48,
        "validation": 12,
        "test": 0,
        **{f"class {name}": 12 for name in ("1e5", "no", "pictures", "test", "validation")},
    }


class Noting:
    """Pictures that note which of them are read."""

    def __init__(self, images: Any) -> None:
        self.images, self.read = images, list[int]()

    def __getitem__(self, rows: Any) -> Any:
        self.read += np.atleast_1d(rows).tolist()
        return self.images[rows]


def test_figures_read_only_the_pictures_that_they_show(make_config: MakeConfig, store: Store) -> None:
    """Of the validation part the mistakes, the most confident first; all of it may be larger than the memory."""
    pictures = load_pictures(make_config())
    part = pictures.validation
    images = Noting(part.images)
    chances = np.eye(5, dtype=np.float32)[part.labels] * 0.8 + np.float32(0.04)
    chances[3], chances[7] = np.roll(chances[3], 1), np.roll(chances[7], 2) * 0.9 + 0.02
    history = History("val_accuracy")
    history.begin("training")
    history.append({"loss": 1.0, "val_loss": 1.0, "accuracy": 0.5, "val_accuracy": 0.5})

    record_figures(
        MLflowTracker.start(store, "e", "run"),
        dataclasses.replace(pictures, validation=dataclasses.replace(part, images=images)),  # type: ignore[arg-type]  # it notes
        history,
        Predictions(chances, part.labels),
    )

    assert images.read == part.indices[[3, 7]].tolist()


def test_the_recorded_configuration_holds_texts_as_they_were(make_config: MakeConfig) -> None:
    """Read back with OmegaConf, a folder called `${seed}` or `1e5` is what it was."""
    config = make_config()
    for name in ODD_NAMES:
        config.tracking.experiment = config.data.dir = name
        read = OmegaConf.create(config_text(dataclasses.asdict(config)))
        assert (read.data.dir, read.tracking.experiment, read.seed) == (name, name, 0)
