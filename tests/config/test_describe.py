"""What a person can set, as it is described: from the files, the schema and its docstrings."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from omegaconf import OmegaConf

from flowersweep.config.describe import groups, keys_of, single_keys, texts_of
from flowersweep.config.schema import NODES, Config
from flowersweep.fields import bounded, one_of
from flowersweep.sweep.schema import PRUNERS, StudySweeperConf

UNDESCRIBED = {
    "_target_",
    "defaults",
    "sampler",
    "pruner",
    "name",
}  # these only select, or are groups themselves


@dataclasses.dataclass
class Engine:
    """An engine.

    Attributes:
        power: Horse
            power.
        kind: petrol: the
            usual one; none: pushed.
    """

    power: int | None = bounded(3, low=1)
    kind: str = one_of("petrol", "none", default="petrol")


@dataclasses.dataclass
class Car(Engine):
    """A car with an engine."""

    doors: list[int] = dataclasses.field(default_factory=lambda: [1, 2])
    engine: Engine = dataclasses.field(default_factory=Engine)
    fast: bool = True


def test_keys_of_a_dataclass() -> None:
    """Descriptions are inherited, nested keys are dotted, and given values replace defaults."""
    keys = keys_of(Car, "car.", {"power": None, "engine": {"power": "${car.power}"}})
    assert [(key.name, key.default) for key in keys] == [
        ("car.power", "null"),
        ("car.kind", "petrol"),
        ("car.doors", "[1,2]"),
        ("car.engine.power", "that of car.power"),
        ("car.engine.kind", "petrol"),
        ("car.fast", "true"),
    ]
    assert [key.about for key in keys[:3]] == ["Horse power.", "petrol: the usual one; none: pushed.", ""]
    assert [key.allowed for key in keys] == [
        "an integer, at least 1, or null",
        "one of petrol, none",
        "a list, each an integer",
        "an integer, at least 1, or null",
        "one of petrol, none",
        "true or false",
    ]


def declared() -> list[type[Any]]:
    """Every dataclass of the configuration and of sweeps."""
    plain = [field.type for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.type)]
    chosen = [node for nodes in NODES.values() for node in nodes.values()]
    return [*dict.fromkeys([*plain, *chosen, *PRUNERS.values(), StudySweeperConf])]  # type: ignore[list-item]


@pytest.mark.parametrize("node", declared(), ids=lambda node: node.__name__)
def test_every_key_has_a_description(node: type[Any]) -> None:
    """In the docstring of its class or of a base, and no description is of a key that does not exist."""
    names = {field.name for field in dataclasses.fields(node)}
    nested = {field.name for field in dataclasses.fields(node) if dataclasses.is_dataclass(field.type)}
    texts = texts_of(node)
    assert names - nested - UNDESCRIBED <= set(texts), "describe them under Attributes in the docstring"
    assert set(texts) <= names
    assert all(text.endswith((".", "]", "}")) for text in texts.values())


@pytest.mark.slow
@pytest.mark.usefixtures("hydra_ready")
def test_defaults_are_those_of_the_composed_configuration() -> None:
    """Whatever is chosen; a reference says to which key."""
    for group in groups():
        for choice in group.choices if group.name in {"data", "model", "optimizer", "tracking"} else ():
            composed = compose("config", overrides=[f"{group.name}={choice.name}"])
            for key in choice.keys:
                node = OmegaConf.select(composed, key.name.rpartition(".")[0])
                leaf = key.name.rpartition(".")[2]
                if key.default.startswith(("that of ", "the environment ", "derived from ")):
                    assert OmegaConf.is_interpolation(node, leaf)
                elif not OmegaConf.is_missing(node, leaf):
                    value = OmegaConf.create({"value": node[leaf]})
                    given = OmegaConf.from_dotlist([f"value={key.default}"])
                    assert given == value, key


def test_groups_are_those_of_the_table_of_contents() -> None:
    """With defaults and descriptions; presets have no keys of their own."""
    found = {group.name: group for group in groups()}
    assert list(found)[:3] == ["data", "model", "aug"]
    assert (found["model"].default, found["search"].default) == ("cnn", "null")
    assert all(group.about and all(choice.about for choice in group.choices) for group in found.values())
    assert not any(choice.keys for choice in found["search"].choices)
    assert [key.name for key in single_keys()] == ["seed", "objective.metric", "objective.also"]


def test_own_choices(tmp_path: Path) -> None:
    """Choices in a folder of one's own are listed with their values."""
    (tmp_path / "trainer").mkdir()
    text = "# Long.\ndefaults: [default]\nepochs: 500\n"
    (tmp_path / "trainer" / "long.yaml").write_text(text, encoding="utf-8")
    (trainer,) = (group for group in groups(tmp_path) if group.name == "trainer")
    (long,) = (choice for choice in trainer.choices if choice.name == "long")
    assert (long.about, long.keys[0].default) == ("Long.", "500")


def test_a_mapping() -> None:
    """Arguments of one's own code are not said to be a string."""
    (arguments,) = (key for key in keys_of(NODES["model"]["own"], "model.") if key.name == "model.arguments")
    assert (arguments.allowed, arguments.default) == ("a mapping of names to values", "{}")


def test_a_key_is_there_although_its_default_is_the_name_of_the_choice() -> None:
    """Both choices of the bank have bank.engine, also bank=auto, where it is auto; a key that names the choice is left out."""
    by_name = {group.name: group for group in groups()}
    for choice in by_name["bank"].choices:
        assert "bank.engine" in {key.name for key in choice.keys}
    assert not any(key.name == "optimizer.name" for one in by_name["optimizer"].choices for key in one.keys)
