"""The texts of OmegaConf's errors are as flowersweep reads them; each is provoked."""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from flowersweep.doors import omegaconf_api


@dataclass
class Trainer:
    """A group."""

    epochs: int = 1
    names: list[str] = field(default_factory=list)


@dataclass
class Root:
    """A configuration."""

    trainer: Trainer = field(default_factory=Trainer)


def refused(values: Any) -> OmegaConfBaseException:
    """What OmegaConf says of values that do not fit."""
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.merge(OmegaConf.structured(Root), values)
    return caught.value


def said(values: Any, words: str, purpose: str, *, matches: bool) -> None:
    """Fail with one sentence unless a message is as it was."""
    assert matches, (
        f"omegaconf {version('omegaconf')} no longer says {words!r}, which flowersweep.config.explain needs to {purpose}; of "
        f"{values} it says: {refused(values)}"
    )


@pytest.mark.parametrize(
    ("pattern", "values", "groups", "purpose"),
    [
        ("NOT_CONVERTED", {"trainer": {"epochs": "many"}}, ("'many'",), "say which value does not fit"),
        ("NOT_A_GROUP", {"trainer": 3}, ("Trainer", "3"), "say that a group has keys of its own"),
        ("NULL", {"trainer": None}, (), "say that a group is null"),
        ("NULL", {"trainer": {"epochs": None}}, (), "say that a value is null"),
    ],
)
def test_values_that_do_not_fit(pattern: str, values: Any, groups: tuple[str, ...], purpose: str) -> None:
    """A wrong type, a value in place of a group, and null."""
    compiled = getattr(omegaconf_api, pattern)
    match = compiled.match(str(refused(values)).splitlines()[0])
    said(values, compiled.pattern, purpose, matches=match is not None)
    assert match.groups() == groups


def test_an_unknown_key() -> None:
    """It has a type of its own, knows where it is, and may be like one that is known."""
    error = refused({"trainer": {"epoch": 3}})
    assert isinstance(error, ConfigKeyError | ConfigAttributeError)
    assert error.full_key == "trainer.epoch"
    match = omegaconf_api.MEANT.search(str(error))
    said({"trainer": {"epoch": 3}}, "Did you mean", "suggest a key", matches=match is not None)
    assert match is not None
    assert match.group(1) == "epochs"


def test_a_text_in_place_of_a_list() -> None:
    """What stands before the cause of Hydra's error."""
    config = OmegaConf.structured(Root)
    with pytest.raises(OmegaConfBaseException) as caught:
        config.trainer.names = "[a]"
    assert omegaconf_api.NOT_A_LIST in str(caught.value), (
        f"omegaconf {version('omegaconf')} says: {caught.value}"
    )


def test_one_line_is_without_classes() -> None:
    """The key stays, the type of the object goes."""
    line = omegaconf_api.in_one_line(str(refused({"trainer": {"epochs": "many"}})))
    assert "object_type" not in line
    assert "key trainer.epochs" in line
