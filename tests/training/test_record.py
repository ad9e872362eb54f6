"""Tests of what a run logs: which keys of its configuration are parameters."""

from conftest import MakeConfig
from flowersweep.tracking.memory import MemoryTracker
from flowersweep.training.pictures import load_pictures
from flowersweep.training.record import parameters, record_start
from flowersweep.training.run import tags


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


def test_what_somebody_has_set_is_a_parameter(make_config: MakeConfig) -> None:
    """A sweep over a silent key finds it among the parameters of its trials."""
    overrides = ["trainer.threads=1", "+model.learning_rate=0.01"]
    names = parameters(make_config("trainer.threads=1", "model.learning_rate=0.01"), overrides)
    assert (names["trainer.threads"], names["model.learning_rate"]) == (1, 0.01)


def test_tags_say_what_kind_of_run_it_is_and_what_for(make_config: MakeConfig) -> None:
    """By these the best of single runs is found."""
    found = tags(make_config("objective.metric=best/val_loss"))
    assert (found["kind"], found["objective"]) == ("run", "best/val_loss")


def test_no_password_is_recorded(make_config: MakeConfig) -> None:
    """The address of a store is kept without its password, in the configuration and among the overrides."""
    address = "postgresql+psycopg://ada:secret@host/runs"
    config = make_config(f"tracking.uri={address}")
    tracker = MemoryTracker()

    record_start(tracker, config, load_pictures(config), [f"tracking.uri={address}", "model=cnn"])

    hidden = address.replace("secret", "***")
    assert f"uri: {hidden}" in str(tracker.artifacts["config/config.yaml"])
    assert tracker.artifacts["config/overrides.txt"] == f"tracking.uri={hidden}\nmodel=cnn\n"
    assert "secret" not in f"{tracker}"
