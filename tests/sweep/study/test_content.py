"""A study is bound to what its trainings read, wherever that lies."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import open_dict

from flowersweep import config
from flowersweep.config import Config
from flowersweep.config.models import FineTunedConfig
from flowersweep.errors import CodeError, ConfigError, DataError, SweepError, TrackingError, WeightsError
from flowersweep.own import code
from flowersweep.sweep.run import _content
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.check import check_choices
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.content import Content, find_all, place_of
from flowersweep.sweep.study.definition import definition_of, derived_name, differences
from flowersweep.sweep.study.study import open_study
from own_modules import NETWORKS, WARMTH, Modules

Define = Callable[..., dict[str, Any]]
Configured = Callable[..., Config]


@pytest.fixture(scope="module")
def loader() -> Iterator[Any]:
    """Hydra's loader over the project's configuration."""
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture
def define(loader: Any, cache: Path, tmp_path: Path) -> Define:
    """The definition of a sweep's study, from what was typed."""

    def typed(*arguments: str, n_repeats: int = 1) -> dict[str, Any]:
        given = [f"paths.cache={cache}", f"tracking.dir={tmp_path}/results", *arguments]
        space = build_space(given)
        fixed = [line for line in given if line in space.fixed]
        sweep = loader.load_configuration("config", overrides=fixed, run_mode=RunMode.MULTIRUN)
        configs = check_choices(space, sweep, loader, n_repeats)
        return definition_of(space, sweep, n_repeats, Content.of(configs, find_all(configs)).listed())

    return typed


@pytest.fixture
def configured(loader: Any, cache: Path, drawn: Path, tmp_path: Path) -> Configured:
    """A configuration as a trial has it."""

    def made(*arguments: str) -> Config:
        places = [f"paths.cache={cache}", f"tracking.dir={tmp_path}/results", f"data.dir={drawn}"]
        given = ["data=folder", *places, *arguments]
        composed = loader.load_configuration("config", given, run_mode=RunMode.RUN)
        with open_dict(composed):
            del composed["hydra"]
        return config.settings(composed)

    return made


@pytest.fixture
def other(drawn: Path, tmp_path: Path) -> Path:
    """The drawn flowers, but for one that lies in another class."""
    copy = shutil.copytree(drawn, tmp_path / "other")
    classes = sorted(path for path in copy.iterdir() if path.is_dir())
    moved = next(classes[0].iterdir())
    moved.rename(classes[1] / f"moved{moved.suffix}")
    return copy


def name(definition: dict[str, Any]) -> str:
    """What its study is called."""
    return derived_name(build_space(["aug=none,RandomFlip"]), definition, ["maximize"])


@pytest.mark.slow
def test_pictures_not_their_place(define: Define, drawn: Path, other: Path, tmp_path: Path) -> None:
    """The same pictures elsewhere are the same study; others are another, which an explicit name refuses in a sentence."""
    sweep = "aug=none,RandomFlip", "data=folder"
    moved = shutil.copytree(drawn, tmp_path / "moved")
    here, there, different = (define(*sweep, f"data.dir={place}") for place in (drawn, moved, other))
    assert here == there
    assert name(here) != name(different)
    storage = open_storage(None, tmp_path)
    open_study(storage, "mine", here, ["maximize"])
    assert open_study(storage, "mine", there, ["maximize"]).study_name == "mine"
    with pytest.raises(SweepError) as raised:
        open_study(storage, "mine", different, ["maximize"])
    before, now = here["content"]["data.dir"][0][:12], different["content"]["data.dir"][0][:12]
    said = [line.strip() for line in str(raised.value).splitlines()[1:-1]]
    assert said == [f"The pictures are not what its trials read: the content was {before}, and is now {now}."]
    assert open_study(storage, "mine", different, ["maximize"], "new").study_name == "mine-2"


@pytest.mark.slow
def test_changed_where_they_lie(define: Define, other: Path) -> None:
    """Pictures that are changed in their place are other pictures."""
    sweep = "aug=none,RandomFlip", "data=folder", f"data.dir={other}"
    before = define(*sweep)
    next(path for path in other.rglob("*") if path.is_file()).unlink()
    assert name(define(*sweep)) != name(before)


@pytest.mark.slow
def test_every_option_that_is_searched(define: Define, drawn: Path, other: Path) -> None:
    """Where pictures are searched, those of each option are bound, also behind an interpolation."""
    found = define("data=folder", f"data.dir={drawn},{other}")["content"]["data.dir"]
    assert len(set(found)) == 2
    (other.parent / "0").symlink_to(drawn)
    (other.parent / "1").symlink_to(other)
    by_seed = define("seed=0,1", "data=folder", f"data.dir='{other.parent}/${{seed}}'")
    assert by_seed["content"]["data.dir"] == found
    folds = define("seed=0", "data=folder", f"data.dir='{other.parent}/${{seed}}'", n_repeats=2)
    assert folds["content"]["data.dir"] == found


@pytest.mark.slow
def test_weights_by_content(define: Define, drawn: Path, tmp_path: Path) -> None:
    """A file of weights counts by its bytes, the name of published ones as it is; each one that is searched is bound."""
    sweep = "aug=none,RandomFlip", "data=folder", f"data.dir={drawn}", "model=mobilenet_frozen"
    first, copy, changed = (tmp_path / f"{one}.weights.h5" for one in ("first", "copy", "changed"))
    for file, content in ((first, b"one"), (copy, b"one"), (changed, b"two")):
        file.write_bytes(content)
    one, same, two = (define(*sweep, f"model.weights={file}") for file in (first, copy, changed))
    assert one == same
    assert name(one) != name(two)
    assert define(*sweep)["content"]["model.weights"] == ["imagenet"]
    searched = define(*sweep[1:], f"model.weights={first},{changed}")["content"]["model.weights"]
    assert searched == [*one["content"]["model.weights"], *two["content"]["model.weights"]]


@pytest.mark.slow
def test_split_is_kept(define: Define, drawn: Path) -> None:
    """How the pictures are divided is still compared by its settings."""
    sweep = "aug=none,RandomFlip", "data=folder", f"data.dir={drawn}"
    names = {
        name(define(*sweep, *more))
        for more in ([], ["data.split_seed=7"], ["data.validation_split=0.3"], ["data.test_split=0.1"])
    }
    assert len(names) == 4


def test_older_studies_are_not_adopted(define: Define, drawn: Path, tmp_path: Path) -> None:
    """A study whose definition does not say which pictures it had is refused with that reason."""
    now = define("aug=none,RandomFlip", "data=folder", f"data.dir={drawn}")
    before = {key: value for key, value in now.items() if key != "content"}
    storage = open_storage(None, tmp_path)
    open_study(storage, "old", before, ["maximize"])
    with pytest.raises(
        SweepError, match="started before studies were bound to the content of their pictures"
    ):
        open_study(storage, "old", now, ["maximize"])


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (["data=folder", "data.dir=nowhere"], DataError),
        pytest.param(
            ["data=folder", "data.dir={drawn}", "model=mobilenet_ft", "model.init_from=best"],
            TrackingError,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_missing(define: Define, drawn: Path, more: list[str], error: type[Exception]) -> None:
    """Without the pictures, or the run to begin with, there is no definition and so no study."""
    with pytest.raises(error, match=r"nowhere does not exist|no finished run"):
        define("aug=none,RandomFlip", *(line.format(drawn=drawn) for line in more))


def test_weights_that_are_changed_meanwhile(configured: Configured, tmp_path: Path) -> None:
    """A trial whose weights are others than when its sweep began is not run; those that nobody looked at are let be."""
    file = tmp_path / "one.weights.h5"
    file.write_bytes(b"one")
    one = configured("model=mobilenet_frozen", f"model.weights={file}")
    content = Content.of([one], find_all([one]))
    assert content.held(one) == one
    file.write_bytes(b"two")
    with pytest.raises(
        WeightsError, match=r"one\.weights\.h5 are no longer those that the sweep started with"
    ):
        content.held(one)
    assert replace(content, weights={}).held(one) == one


def test_a_split_that_is_changed_meanwhile(configured: Configured, tmp_path: Path) -> None:
    """The content of its file is a part of the definition, its location is not; a trial with another one is not run."""
    file = tmp_path / "split.csv"
    file.write_text("one")
    one = configured("data.split=csv", f"data.split_file={file}")
    content = Content.of([one], find_all([one]))
    (digest,) = content.listed()["data.split_file"]
    assert content.held(one) == one
    file.write_text("two")
    with pytest.raises(
        DataError, match=r"split\.csv is no longer the one that the sweep started with; restore"
    ):
        content.held(one)
    assert Content.of([one], find_all([one])).listed()["data.split_file"] != [digest]


@pytest.mark.slow
def test_own_code_by_its_text(define: Define, drawn: Path, modules: Modules) -> None:
    """Searched augmentations count, too; an edit is another study, and the difference names your own code."""
    file = modules.add("own_defined", WARMTH)
    typed = ("data=folder", f"data.dir={drawn}", "aug.build=own_defined.RandomWarmth", "aug=own", "seed=1,2")
    before = define(*typed)
    assert len(before["content"]["own code"]) == 1
    assert name(define(*typed)) == name(before)
    assert "own code" not in define("data=folder", f"data.dir={drawn}", "seed=1,2")["content"]
    code._digest.cache_clear()
    file.write_text(f"{WARMTH}# edited\n", encoding="utf-8")
    after = define(*typed)
    (told,) = differences(before, after)
    assert told.startswith("Your own code is not what its trials read: the content was ")
    assert name(after) != name(before)


def test_own_code_that_is_changed_meanwhile(configured: Configured, modules: Modules) -> None:
    """A trial in a process that has read another text than the sweep began with is not run."""
    file = modules.add("own_meanwhile", NETWORKS)
    one = configured("model=own", "model.build=own_meanwhile.build_model")
    content = Content.of([one], find_all([one]))
    assert content.held(one) == one
    code._digest.cache_clear()  # as in another training process
    file.write_text(f"{NETWORKS}# edited\n", encoding="utf-8")
    with pytest.raises(CodeError, match="The code of own_meanwhile is no longer the one that the sweep"):
        content.held(one)
    code._digest.cache_clear()


def test_best_stays_what_it_was(configured: Configured) -> None:
    """All trials of a sweep start from the run that was the best when it began."""
    one = configured("model=mobilenet_ft", "model.init_from=best")
    fingerprint = find_all([one])[place_of(one)][1]
    content = Content({place_of(one): fingerprint}, {}, {("MobileNetV2", fingerprint): "a" * 32})
    held = content.held(one).model
    assert isinstance(held, FineTunedConfig)
    assert held.init_from == "a" * 32
    assert replace(content, starts={}).held(one) == one


def test_every_split_of_a_sweep_is_possible(configured: Configured) -> None:
    """A trial whose pictures cannot be divided is refused before the study begins, whichever trial it is."""
    good, bad = configured(), configured("data.split=stratified", "data.folds=13", "data.fold=12")
    with pytest.raises(ConfigError, match=r"which has 12 in all; add pictures, or use fewer data\.folds"):
        _content([good, bad])
    assert _content([good, configured("data.split=stratified")]) is not None
