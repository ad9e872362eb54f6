"""Overrides in Python mean what the same words mean on the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from flowersweep import config
from flowersweep.api.words import as_words, sweeper_words
from flowersweep.errors import ConfigError
from flowersweep.sweep.space.values import plain

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), inner),
)


def test_a_list_is_as_it_is() -> None:
    """Also with the flag that names files of the user's own."""
    words = ["--config-dir", "-odd-name", "hydra/sweeper=study", "model=cnn", "aug=none,RandomFlip"]
    assert as_words(words) == words


def test_texts_of_a_dict_are_in_hydras_grammar() -> None:
    """They may be searches; other values are written so that they are read as they are."""
    given = {
        "model": "cnn",
        "model.dropout": "interval(0,0.6)",
        "trainer.patience": None,
        "trainer.epochs": np.int64(5),
        "data.dir": Path("my pictures"),
        "aug.layers": ["RandomFlip", {"name": "RandomRotation", "factor": 0.1}],
        "~schedule": None,
    }
    assert as_words(given) == [
        "model=cnn",
        "model.dropout=interval(0,0.6)",
        "trainer.patience=null",
        "trainer.epochs=5",
        "data.dir=my\\ pictures",
        "aug.layers=[RandomFlip,{name:RandomRotation,factor:0.1}]",
        "~schedule",
    ]


def test_numbers_of_numpy_are_numbers_anywhere() -> None:
    """As scikit-learn's compute_class_weight and NumPy's ranges give them, and paths."""
    weights = dict(zip(["daisy", "roses"], np.array([1.5, 0.25]), strict=True))
    given = {
        "trainer.class_weight": weights,
        "model.filters": [np.int32(8), np.int64(16)],
        "model.arguments": {"deep": [{"on": np.True_, "rate": np.float32(0.5), "file": Path("a b")}]},
        "model.name": np.str_("1e5"),
    }
    assert as_words(given) == [
        "trainer.class_weight={daisy:1.5,roses:0.25}",
        "model.filters=[8,16]",
        "model.arguments={deep:[{on:true,rate:0.5,file:a\\ b}]}",
        "model.name=1e5",
    ]


@pytest.mark.slow
@settings(max_examples=20)
@given(VALUES)
def test_values_are_read_as_they_were(value: Any) -> None:
    """Hydra's parser gives the value back, with its type."""
    (word,) = as_words({"a.key": value})
    read = plain(OverridesParser.create().parse_override(word).value())
    assert repr(read) == repr(value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("model=cnn", "Overrides are a list of texts, as in .*, but these are 'model=cnn'"),
        (5, "but these are 5"),
        (["seed=1", 2], "An override is a text, .* but one is 2"),
        (["--multirun", "seed=1"], "--multirun is for the command line; flowersweep.sweep runs a sweep"),
        (["--cfg", "job"], "--cfg is for the command line"),
        (
            ["seed=1", "--config-dir"],
            "--config-dir is without its value; write it as in '--config-dir=FOLDER'",
        ),
        (["hydra/sweeper=basic"], "hydra/sweeper=basic has no result in Python; leave it out"),
        ({"hydra.mode": "MULTIRUN"}, "hydra.mode=MULTIRUN has no result in Python"),
        ({"aug": ["none", "RandomFlip"]}, "aug has a list as its value, .* as one text: 'none,RandomFlip'"),
        ({"aug": ("none", "RandomFlip")}, "aug has a value of type tuple; .* as in 'none,RandomFlip'"),
        ({"model.arguments": {"widths": (1, 2)}}, "model.arguments has a value of type tuple"),
        ({"model.arguments": {"widths": [np.zeros(2)]}}, "model.arguments has a value of type ndarray"),
        ({"trainer.epochs": object()}, "trainer.epochs has a value of type object"),
    ],
)
def test_other_things_are_refused(overrides: Any, said: str) -> None:
    """In one sentence that shows what is possible."""
    with pytest.raises(ConfigError, match=said):
        as_words(overrides)


def test_settings_of_a_sweep() -> None:
    """Keywords are keys of hydra.sweeper, or its groups."""
    assert sweeper_words({"n_jobs": 2, "pruner": "asha", "timeout": None, "study_name": "mine"}) == [
        "hydra.sweeper.n_jobs=2",
        "hydra/sweeper/pruner=asha",
        "hydra.sweeper.timeout=null",
        "hydra.sweeper.study_name=mine",
    ]
    assert sweeper_words({"sampler": None, "max_failures_in_a_row": None}) == [
        "hydra.sweeper.max_failures_in_a_row=null"
    ]


def test_a_dict_as_a_setting_of_a_sweep() -> None:
    """What is searched, and on which conditions, may be given in Python, also with keys that no preset has."""
    searched = {"optimizer": "sgd,adam", "optimizer.momentum": "interval(0,0.9)"}
    conditions = {"optimizer.momentum": {"optimizer": "sgd"}}
    words = sweeper_words({"params": searched, "conditions": conditions})
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        node = compose("config", ["search=cnn", *words], return_hydra_config=True).hydra.sweeper
    assert node.params.items() >= searched.items()
    assert node.conditions["optimizer.momentum"] == {"optimizer": "sgd"}


@pytest.mark.slow
@pytest.mark.parametrize("with_hydra", [False, True])
@pytest.mark.parametrize(
    "overrides",
    [
        ["model=mobilenet_frozen", "aug=RandomRotation_prob", "data=demo", "data.split_seed=${seed}"],
        ["optimizer=sgd", "model=own", "model.build=a.b", "model.arguments.width=3", "aug=strong"],
    ],
)
def test_a_composed_configuration(overrides: list[str], *, with_hydra: bool) -> None:
    """Its overrides compose the same again, with what was changed in it afterwards."""
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        composed = compose("config", overrides, return_hydra_config=with_hydra)
    composed.trainer.epochs = 7
    words = as_words(composed)
    assert "trainer.epochs=7" in words
    with initialize_config_dir(str(config.conf_dir())):
        again = compose("config", words)
    found = OmegaConf.to_container(composed)
    assert isinstance(found, dict)
    assert OmegaConf.to_container(again) == {key: value for key, value in found.items() if key != "hydra"}


def test_another_configuration_is_refused() -> None:
    """One that this program has not composed."""
    with pytest.raises(ConfigError, match="not one of flowersweep"):
        as_words(OmegaConf.create({"model": "cnn"}))


def test_a_composed_configuration_in_a_notebook(tmp_path: Path) -> None:
    """Hydra may still be initialized for the program's own configurations, and is so afterwards."""
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        composed = compose("config", ["seed=3"])
    (tmp_path / "mine.yaml").write_text("x: 1\n", encoding="utf-8")
    with initialize_config_dir(str(tmp_path)):
        assert as_words(composed) == ["seed=3"]
        assert compose("mine").x == 1
    assert not GlobalHydra.instance().is_initialized()


def test_a_value_that_was_taken_away() -> None:
    """It is not replaced by a default without a word."""
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        composed = compose("config")
    composed.trainer.epochs = "???"
    with pytest.raises(
        ConfigError, match=r"^trainer\.epochs has no value in the configuration \(\?\?\?\); give"
    ):
        as_words(composed)
