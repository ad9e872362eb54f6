"""What the user wrote about the sampler is told from what nobody wrote, wherever it was written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf
from optuna import create_study
from optuna.samplers import RandomSampler

from flowersweep import config
from flowersweep.sweep.search.explicit import explicit_options
from flowersweep.sweep.search.sampler import make_sampler, trial_seed
from flowersweep.sweep.space.build_space import build_space
from hydra_plugins.hydra_optuna_sweeper.config import TPESamplerConfig

STUDY = "defaults:\n  - override hydra/sweeper: study\n  - _self_\n"
WRITTEN = "hydra:\n  sweeper:\n    sampler:\n      constant_liar: false\n      n_startup_trials: 10\n"
CHOICE = "defaults:\n  - tpe\nmultivariate: false\n"


@dataclass
class Own:
    """A sampler of the user's own."""

    _target_: str = "optuna.samplers.RandomSampler"
    seed: int = 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configuration of a program, in an empty folder."""
    (tmp_path / "config.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def explicit(folder: Path, *overrides: str) -> set[str]:
    """The options that are set, besides the seed."""
    with initialize_config_dir(str(folder)):
        loader = GlobalHydra.instance().config_loader()
        found = loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)
        return set(explicit_options(found, loader))


class TestOfAProgram:
    """Options of a program with a configuration of its own."""

    @pytest.mark.parametrize("sampler", ["auto", "tpe", "random", "cmaes", "nsgaii", "grid"])
    def test_none_is_set(self, folder: Path, sampler: str) -> None:
        """The target, and nothing else, comes from the choice alone."""
        assert explicit(folder, f"hydra/sweeper/sampler={sampler}") <= {"_target_", "_partial_"}

    def test_on_the_command_line(self, folder: Path) -> None:
        """A value counts if it equals the default, with any sign before its key; null counts as well."""
        typed = ["hydra.sweeper.sampler.constant_liar=false", "++hydra.sweeper.sampler.seed=null"]
        assert explicit(folder, "hydra.sweeper.n_trials=3", *typed) == {"_target_", "constant_liar", "seed"}

    def test_in_the_main_file(self, folder: Path) -> None:
        """Values that equal the defaults count."""
        (folder / "config.yaml").write_text(STUDY + WRITTEN, encoding="utf-8")
        assert explicit(folder) == {"_target_", "constant_liar", "n_startup_trials"}

    def test_in_a_sampler_of_ones_own(self, folder: Path) -> None:
        """A choice that begins with tpe has set what it writes itself."""
        (folder / "hydra/sweeper/sampler").mkdir(parents=True)
        (folder / "hydra/sweeper/sampler/mine.yaml").write_text(CHOICE, encoding="utf-8")
        assert explicit(folder, "hydra/sweeper/sampler=mine") == {"_target_", "multivariate"}

    def test_in_a_sweeper_of_ones_own(self, folder: Path) -> None:
        """A choice that begins with study has set what it writes about the sampler."""
        (folder / "hydra/sweeper").mkdir(parents=True)
        text = "defaults:\n  - study\n  - override sampler: tpe\n  - _self_\nsampler:\n  group: false\n"
        (folder / "hydra/sweeper/mine.yaml").write_text(text, encoding="utf-8")
        assert explicit(folder, "hydra/sweeper=mine") == {"_target_", "group"}

    def test_in_a_preset(self, folder: Path) -> None:
        """A group that the command line chooses counts, also if another group must still be given by each trial."""
        (folder / "preset").mkdir()
        (folder / "preset/a.yaml").write_text(f"# @package _global_\n{WRITTEN}", encoding="utf-8")
        (folder / "config.yaml").write_text(STUDY.replace("defaults:", "defaults:\n  - db: ???"), "utf-8")
        (folder / "db").mkdir()
        for name in "xy":
            (folder / f"db/{name}.yaml").write_text(f"name: {name}\n", encoding="utf-8")
        assert explicit(folder, "+preset=a", "db=x,y") == {"_target_", "constant_liar", "n_startup_trials"}

    def test_in_python(self, folder: Path) -> None:
        """Of a registered object, the values that differ from its dataclass count; its registration stays."""
        node = TPESamplerConfig(n_startup_trials=3)
        ConfigStore.instance().store("mine", node, group="hydra/sweeper/sampler", replace=True)
        assert explicit(folder, "hydra/sweeper/sampler=mine") == {"_target_", "n_startup_trials"}
        registered: Any = ConfigStore.instance().load("hydra/sweeper/sampler/mine.yaml").node
        assert (registered.n_startup_trials, registered.constant_liar) == (3, False)

    def test_in_a_dataclass_of_ones_own(self, folder: Path) -> None:
        """All its values count; references, and groups below that of samplers, are left alone."""
        store = ConfigStore.instance()
        store.store("referring", TPESamplerConfig(seed="${s}"), group="hydra/sweeper/sampler")  # type: ignore[arg-type] # a reference
        store.store("below", TPESamplerConfig, group="hydra/sweeper/sampler/independent_sampler")
        store.store("own", Own, group="hydra/sweeper/sampler")
        assert explicit(folder, "hydra/sweeper/sampler=referring") == {"_target_", "seed"}
        assert explicit(folder, "hydra/sweeper/sampler=own") == {"_target_", "seed"}
        made = [
            make_sampler(
                OmegaConf.structured(Own), trial_number=0, space=build_space(["x=1,2"]), n_directions=1
            ),
            RandomSampler(trial_seed(1, 0)),
        ]
        drawn = [create_study(sampler=sampler).ask().suggest_float("x", 0, 1) for sampler in made]
        assert drawn[0] == drawn[1]


@pytest.fixture
def _own() -> Iterator[None]:
    config.prepare()
    with config.composing():
        yield


@pytest.mark.usefixtures("_own")
def test_of_flowersweeps_own_command(folder: Path) -> None:
    """A preset of the user's own sets options with the values of the defaults; no file of flowersweep sets any."""
    conf = config.conf_dir()
    assert explicit(conf) == {"_target_"}
    (folder / "search").mkdir()
    (folder / "search/mine.yaml").write_text(f"# @package _global_\n{WRITTEN}", encoding="utf-8")
    typed = [f"hydra.searchpath=[{folder}]", "search=mine"]
    assert explicit(conf, *typed) == {"_target_", "constant_liar", "n_startup_trials"}
