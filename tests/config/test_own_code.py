"""Own code in a configuration: how it is set, and what is said while composing."""

from typing import Any

import pytest
from hydra import compose

from flowersweep.config import explain, settings
from flowersweep.config.own_code import own_callbacks, own_code
from flowersweep.errors import ConfigError
from own_modules import NETWORKS, WARMTH, Modules

pytestmark = pytest.mark.usefixtures("hydra_ready")
NETWORK = ("model=own", "model.build=own_conf_net.build_model")


@pytest.fixture(autouse=True)
def _modules(modules: Modules) -> None:
    modules.add("own_conf_aug", WARMTH)
    modules.add("own_conf_net", NETWORKS)
    modules.add("own_conf_not", NETWORKS, allow=False)


def composed(*overrides: str) -> Any:
    """The settings of a command line."""
    return settings(compose("config", overrides=["data=demo", *overrides]))


def test_arguments_are_keys_like_others() -> None:
    """They need no plus sign; names of the choices are those of the code."""
    config = composed(
        "aug=own",
        "aug.build=own_conf_aug.RandomWarmth",
        "aug.arguments.factor=0.5",
        *NETWORK,
        "model.arguments.width=4",
        "model.arguments.deep.er=[1,2]",
        "trainer.callbacks=[own_conf_net.Count,{build: own_conf_net.Count, arguments: {first: 2}}]",
    )
    assert (config.model.name, config.aug.name) == ("own_conf_net.build_model", "own_conf_aug.RandomWarmth")
    assert config.model.arguments == {"width": 4, "deep": {"er": [1, 2]}}
    assert config.aug.arguments == {"factor": 0.5}
    assert config.optimizer.learning_rate == 1e-3
    assert [given for _, given in own_callbacks(config)] == [{}, {"first": 2}]
    assert [code.name for code in own_code(config)] == ["RandomWarmth", "build_model", "Count", "Count"]
    assert own_code(composed()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["model=own"], "model.build has no value; give it one on the command line: model.build=VALUE."),
        (["aug=own"], "aug.build has no value; give it one on the command line: aug.build=VALUE."),
        (["model=own", "model.build=''"], "model.build must be a non-empty string, but is ''."),
        (
            ["model=own", "model.build=own_conf_not.build_model"],
            "model.build=own_conf_not.build_model names Python code that this machine does not allow to run",
        ),
        (
            ["trainer.callbacks=[own_conf_not.Count]"],
            "trainer.callbacks=own_conf_not.Count names Python code that",
        ),
        (
            ["trainer.callbacks=[3]"],
            "Each of trainer.callbacks must be a name, as in my_module.MyCallback, or",
        ),
        (["trainer.callbacks=[{build: a.B, x: 1}]"], "but one is {'build': 'a.B', 'x': 1}."),
        (
            [*NETWORK, "trainer.precision=bfloat16"],
            "trainer.precision=bfloat16 is not available with model=own",
        ),
        (
            ["aug=own", "aug.build=own_conf_aug.RandomWarmth", "aug.arguments.factor=7"],
            "RandomWarmth.factor must be at least 0.0 and at most 1.0, but is 7.",
        ),
    ],
)
def test_bad_input(overrides: list[str], told: str) -> None:
    """One sentence each, before TensorFlow is needed."""
    with pytest.raises(ConfigError) as caught:
        composed(*overrides)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arguments_of_another_choice() -> None:
    """The message says which choice has them."""
    with pytest.raises(Exception, match="width") as caught:
        composed("model.arguments.width=4")
    assert explain(caught.value) == (
        "There is no key 'model.arguments.width' with the chosen model; it belongs to model=own."
    )
