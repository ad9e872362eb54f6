"""Relative paths mean the folder in which the command was typed."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from flowersweep import config
from flowersweep.config import Config
from flowersweep.config.locations import shared_experiment
from flowersweep.config.models import FrozenConfig
from flowersweep.errors import ConfigError


def settings(base: Path | None, *overrides: str) -> Config:
    """The settings of a command line that was typed somewhere."""
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        return config.settings(compose("config", overrides=list(overrides)), base)


def test_every_place_is_made_absolute(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, cache, results, database and weights, whether typed or from the environment."""
    (folder / "w.h5").touch()
    monkeypatch.setenv("FLOWERSWEEP_CACHE", "cache")
    monkeypatch.setenv("FLOWERSWEEP_DATA", "../photos")
    typed = (
        "model=mobilenet_frozen",
        "model.weights=w.h5",
        "tracking.dir=out",
        "tracking.uri=sqlite:///runs/m.db",
    )
    monkeypatch.chdir("/")
    found = settings(tmp_path, *typed)
    assert isinstance(found.model, FrozenConfig)
    assert [found.data.dir, found.paths.cache, found.tracking.dir] == [
        f"{tmp_path}/../photos",
        f"{tmp_path}/cache",
        f"{tmp_path}/out",
    ]
    assert found.tracking.uri == f"sqlite:///{tmp_path}/runs/m.db"
    assert found.model.weights == f"{tmp_path}/w.h5"
    with pytest.raises(ConfigError, match=r"no file '/w\.h5'"):
        settings(None, *typed)


def test_what_is_no_relative_path_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Absolute paths, servers, names of weights and places that are not given are what they were; ~ is the home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FLOWERSWEEP_CACHE", raising=False)
    found = settings(
        Path("/base"),
        "model=mobilenet_frozen",
        "data.dir='~/a'",
        "tracking.dir=/out",
        "tracking.uri=http://h:5000",
    )
    assert isinstance(found.model, FrozenConfig)
    assert (found.data.dir, found.tracking.dir) == (f"{tmp_path}/a", "/out")
    assert (found.tracking.uri, found.model.weights, found.paths.cache) == ("http://h:5000", "imagenet", None)
    assert settings(Path("/base"), "tracking.uri=sqlite:////m.db").tracking.uri == "sqlite:////m.db"


def test_results_are_where_they_were_when_it_began(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default of tracking.dir, in an installed copy the current folder's, does not follow a change of it."""
    monkeypatch.setattr("flowersweep.config.locations.in_checkout", lambda: False)
    config.prepare()
    monkeypatch.chdir("/")
    assert OmegaConf.create({"dir": "${results_dir:}"}).dir == f"{folder}/mlruns"


@pytest.mark.parametrize("key", ["data.dir", "paths.cache", "tracking.dir"])
def test_a_user_that_there_is_not(tmp_path: Path, key: str) -> None:
    """As in a shell, ~NAME is a folder like any other then."""
    found = settings(tmp_path, f"{key}='~nobody-of-that-name/x'")

    assert OmegaConf.select(OmegaConf.structured(found), key) == f"{tmp_path}/~nobody-of-that-name/x"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "experiment"),
    [
        (["data=demo"], "flowersweep/demo"),
        (["data=flower_photos", "data.dir=/elsewhere"], "flowersweep/flower_photos"),
        (["data=folder", "data.dir=/a/petals/"], "flowersweep/petals"),
        (["data=folder", "data.dir=/b/petals"], "flowersweep/petals"),
        (["data=folder", "data.dir=photos/../weeds"], "flowersweep/weeds"),
        (["data=folder", "data.dir=."], "flowersweep/base"),
        (["data=folder", "data.dir=/"], "flowersweep/folder"),
        (["data=demo", "tracking.experiment=mine"], "mine"),
    ],
)
def test_every_data_set_has_its_experiment(
    typed: list[str], experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name, or that of its folder; a name that was given is used as it is."""
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path / "base")
    assert settings(None, *typed).tracking.experiment == experiment


def test_a_missing_folder_is_the_only_problem() -> None:
    """Not the experiment, which has its name from it."""
    with pytest.raises(ConfigError) as caught:
        settings(None, "data=folder")
    assert str(caught.value) == "data.dir has no value; give it one on the command line: data.dir=VALUE."


def test_several_data_sets_share_an_experiment() -> None:
    """A sweep has one experiment for all its trials."""
    assert shared_experiment({"flowersweep/demo"}) == "flowersweep/demo"
    assert shared_experiment({"flowersweep/demo", "flowersweep/petals"}) == "flowersweep"
