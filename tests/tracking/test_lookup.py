"""Tests of flowersweep.tracking.lookup: the command that trains a run again."""

import shlex

import pytest

from flowersweep.tracking.lookup import training_command, with_seed


def test_a_repeat_has_its_own_seed() -> None:
    """The trial's seed is replaced, also one that was added with a plus; other keys that end alike stay."""
    overrides = ["model=cnn", "seed=1", "+seed=2", "aug.seed=3"]
    assert with_seed(overrides, 7) == ["model=cnn", "aug.seed=3", "seed=7"]


@pytest.mark.parametrize("override", ["aug.layers=[RandomFlip,RandomZoom]", "data.dir='a b'", "model=cnn"])
def test_a_command_can_be_typed(override: str) -> None:
    """A shell reads the overrides as they were."""
    assert shlex.split(training_command([override])) == ["python", "-m", "flowersweep", override]


def test_a_command_has_no_password() -> None:
    """It is shown, and kept with the registered model."""
    command = training_command(["tracking.uri=http://me:hush-hush@host"])
    assert command == "python -m flowersweep tracking.uri=http://me:***@host"
