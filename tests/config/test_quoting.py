"""Values of text keys stay texts, whatever Hydra would take them for."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from flowersweep import config
from flowersweep.config.quoting import as_meant, texts_quoted

LIKE_NUMBERS = ("1e5", "1_000", "1.", ".5", "+1", "-0", "true", "TRUE", "False", "inf", "nan", "1e400", "017")


@pytest.mark.parametrize("key", ["data.dir", "+data.dir", "tracking.experiment", "hydra.sweeper.study_name"])
@pytest.mark.parametrize("text", LIKE_NUMBERS)
def test_a_text_that_looks_like_a_number_is_itself(key: str, text: str) -> None:
    """Also where a sweep has several of them."""
    parser = OverridesParser.create()
    assert (
        str(getattr(parser.parse_rule(texts_quoted(f"{key}={text}"), "override")._value, "text", text))
        == text
    )
    (one, other) = parser.parse_rule(texts_quoted(f"{key}={text},1e3"), "override")._value.list
    assert [getattr(value, "text", value) for value in (one, other)] == [text, "1e3"]


def test_the_configuration_has_the_folder_that_was_typed() -> None:
    """Without quotes it would be 100000.0."""
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        typed = [texts_quoted(one) for one in ("data=folder", "data.dir=1e5", "model=mobilenet_ft", "seed=7")]
        composed = config.settings(
            compose("config", overrides=[*typed, texts_quoted("model.init_from=null")])
        )
    assert (composed.data.dir, composed.seed, vars(composed.model)["init_from"]) == (
        str(Path("1e5").absolute()),
        7,
        None,
    )


def test_presets_are_added_with_or_without_a_plus() -> None:
    """Other groups and keys keep theirs, which Hydra explains."""
    assert [
        as_meant(f"+{one}=a") for one in ("experiment", "search", "cluster", "aug", "seed", "data.dir")
    ] == [
        *("experiment=a", "search=a", "cluster=a"),
        *("+aug=a", "+seed=a", "+data.dir=a"),
    ]
    assert as_meant("data.dir=1e5") == "data.dir='1e5'"


@given(value=st.text())
def test_everything_else_is_left_as_it_was_typed(value: str) -> None:
    """Numbers of number keys, groups, flags, and texts that are quoted or not texts to Hydra."""
    assert texts_quoted(f"seed={value}") == f"seed={value}"
    assert texts_quoted(f"model={value}") == f"model={value}"
    assert texts_quoted(value.partition("=")[0]) == value.partition("=")[0]
    assert texts_quoted(f"data.dir='{value}'") == f"data.dir='{value}'"
    assert texts_quoted(f"data.dir=[{value}]") == f"data.dir=[{value}]"
