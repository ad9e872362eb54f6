"""Hydra finds the sweeper, beside its own and the official one, and composes its configuration."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException, MissingConfigException
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

import flowersweep
from flowersweep.sweep import schema
from hydra_plugins.flowersweep_study.study_sweeper import StudySweeper


@pytest.fixture(scope="module", autouse=True)
def _initialized() -> Iterator[None]:
    ConfigStore.instance().store(
        name="plugin_test", node={"defaults": ["_self_", {"override hydra/sweeper": "study"}], "x": 1}
    )
    with initialize(config_path=None):
        yield


def _sweeper(*overrides: str) -> Any:
    return compose("plugin_test", overrides=list(overrides), return_hydra_config=True).hydra.sweeper


def test_discovered() -> None:
    """The sweeper is among those Hydra discovers, and hides neither Hydra's own nor the official one."""
    names = [found.__name__ for found in Plugins.instance().discover(Sweeper)]
    assert {"StudySweeper", "OptunaSweeper", "BasicSweeper"} <= set(names)
    assert names.count("StudySweeper") == 1


def test_defaults() -> None:
    """The configuration composes with TPE, no pruner, one worker, and its fields typed."""
    sweeper = _sweeper()
    assert OmegaConf.get_type(sweeper) is schema.StudySweeperConf
    assert sweeper.sampler["_target_"] == "optuna.samplers.TPESampler"
    assert OmegaConf.get_type(sweeper.pruner) is schema.NoPrunerConf
    assert (sweeper.n_trials, sweeper.n_jobs, sweeper.n_repeats, sweeper.on_mismatch) == (None, 1, 1, None)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", list(schema.PRUNERS))
@pytest.mark.parametrize(
    "sampler", ["auto", "tpe", "random", "grid", "qmc", "gp", "cmaes", "nsgaii", "nsgaiii"]
)
def test_groups(sampler: str, pruner: str) -> None:
    """Every sampler of the official group and every pruner can be chosen."""
    sweeper = _sweeper(f"hydra/sweeper/sampler={sampler}", f"hydra/sweeper/pruner={pruner}")
    assert OmegaConf.get_type(sweeper.pruner) is schema.PRUNERS[pruner]
    assert "_target_" in sweeper.sampler


@pytest.mark.parametrize("name", ["basic", "optuna"])
def test_other_sweepers_stay(name: str) -> None:
    """Hydra's own and the official sweeper are a choice away."""
    assert _sweeper(f"hydra/sweeper={name}")["_target_"].endswith(("BasicSweeper", "OptunaSweeper"))


def test_values_of_every_type() -> None:
    """Params, conditions and points keep their YAML types."""
    sweeper = _sweeper(
        "hydra.sweeper.n_trials=5",
        "hydra.sweeper.direction=[minimize,maximize]",
        "+hydra.sweeper.params={x:null}",
        "+hydra.sweeper.conditions={x:{y:[1,2]}}",
        "hydra.sweeper.enqueue=[{x:1,a.b:true}]",
    )
    assert sweeper.n_trials == 5
    assert OmegaConf.to_container(sweeper.params) == {"x": None}
    assert OmegaConf.to_container(sweeper.conditions) == {"x": {"y": [1, 2]}}
    assert OmegaConf.to_container(sweeper.enqueue) == [{"x": 1, "a.b": True}]


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("hydra/sweeper/sampler=tpa", MissingConfigException),
        ("hydra/sweeper/pruner=mean", MissingConfigException),
        ("hydra.sweeper.n_trial=3", ConfigCompositionException),
        ("hydra.sweeper.n_trials=many", ConfigCompositionException),
    ],
)
def test_typing_errors(override: str, error: type[Exception]) -> None:
    """An unknown choice, an unknown key and a wrong type do not compose."""
    with pytest.raises(error):
        _sweeper(override)


def test_setup_comes_first() -> None:
    """A sweeper that was not set up says so."""
    with pytest.raises(RuntimeError, match="before setup"):
        StudySweeper().sweep([])


def test_start_up_imports_nothing_heavy() -> None:
    """Hydra imports the plugin at every start: neither Optuna nor anything larger comes with it."""
    code = (
        "import sys, flowersweep.sweep.schema, hydra_plugins.flowersweep_study.study_sweeper;"
        "print([name for name in ('optuna', 'numpy', 'mlflow', 'tensorflow', 'keras') if name in sys.modules])"
    )
    source = str(Path(flowersweep.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": source}
    )
    assert done.stdout.strip() == "[]"
