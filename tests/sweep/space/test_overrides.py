"""What was typed for every trial, although the default choice of a searched group has no such key."""

from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import given
from hypothesis import strategies as st

from flowersweep import config
from flowersweep.config.models import FrozenConfig
from flowersweep.config.optimizers import SGDConfig
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.check import check_choices
from flowersweep.sweep.space.overrides import as_typed, left_to_trials, read_arguments
from flowersweep.sweep.space.values import plain, text_of

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text("ab 1.,'${}[]()=:\\\\\"/", min_size=1, max_size=6),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


def checked(*typed: str) -> list[config.Config]:
    """The trials of a sweep, as far as they are composed before the first one."""
    given = left_to_trials(["--multirun", *typed])[1:]
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        loader: Any = GlobalHydra.instance().config_loader()
        sweep = loader.load_configuration("config", overrides=given, run_mode=RunMode.MULTIRUN)
        return check_choices(build_space(given, sweep.hydra.sweeper.params), sweep, loader)


def test_a_value_for_searched_choices() -> None:
    """A key that the default choice lacks may be given if every searched choice has it, and is no part of the search."""
    found = checked("optimizer=sgd,rmsprop", "optimizer.momentum=0.5")
    assert [one.optimizer.momentum for one in found] == [0.5, 0.5]  # type: ignore[attr-defined]
    assert isinstance(found[0].optimizer, SGDConfig)
    given = left_to_trials(["-m", "optimizer=sgd,rmsprop", "optimizer.momentum=0.5"])[1:]
    space = build_space(given)
    assert list(space.searched) == ["optimizer"]
    assert space.definition()["fixed"] == {"optimizer.momentum": "0.5"}


@pytest.mark.slow
def test_weights_of_searched_models(tmp_path: Path) -> None:
    """A path with unusual characters, and null, come to every model as they were typed."""
    weights = tmp_path / "my [best], (0.5).weights.h5"
    weights.touch()
    models = "model=mobilenet_frozen,mobilenet_ft"
    for value in (str(weights), None):
        found = checked(models, f"model.weights={text_of(value)}")
        assert [one.model.name for one in found] == ["mobilenet_frozen", "mobilenet_ft"]
        assert [one.model.weights for one in found if isinstance(one.model, FrozenConfig)] == [value, value]


@given(VALUES)
def test_there_and_back(value: Any) -> None:
    """Whatever value is left to the trials is read back as it was."""
    line = f"optimizer.momentum={text_of(value)}"
    (left,) = left_to_trials(["-m", line])[1:]
    assert left != line
    assert as_typed(left) == line
    (override,) = read_arguments([left], None)
    assert plain(override.value()) == value


@pytest.mark.parametrize(
    "arguments",
    [
        ["optimizer.momentum=0.5"],  # no sweep
        ["-m", "hydra/sweeper=basic", "optimizer.momentum=0.5"],
        ["-m", "--cfg", "job", "optimizer.momentum=0.5"],
        [
            "-m",
            "optimizer.momentum=0.5,0.9",
            "optimizer.learning_rate=0.1",
            "+optimizer.momentum=0.5",
            "seed=1",
        ],
        [
            "-m",
            "optimizer.momentmu=0.5",
            "~optimizer.momentum",
            "optimizer.momentum=choice(",
            "trainer.epochs=3",
        ],
    ],
)
def test_left_alone(arguments: list[str]) -> None:
    """Nothing else is changed."""
    assert left_to_trials(arguments) == arguments
