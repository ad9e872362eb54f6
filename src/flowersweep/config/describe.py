"""What a person can set: groups, their choices and keys, with descriptions that are written once.

A group is described by its comment in `conf/config.yaml`, a choice by the first comment of its file, and a key by the
docstring of the dataclass that declares it.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf

from flowersweep.config.files import read
from flowersweep.config.locations import conf_dir, results_dir
from flowersweep.config.schema import NODES, Config
from flowersweep.fields import RULE_KEY, Rule

_GROUP = re.compile(r"^  - (\w+): (\w+)(?: +# (.*))?$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {6,}.*)*)", re.MULTILINE)
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_VARIABLE = re.compile(r"\$\{oc\.env:(\w+),(\w+)\}")
_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "a string"}


@dataclasses.dataclass(frozen=True)
class Key:
    """A key that can be set.

    Attributes:
        name: As on the command line, trainer.epochs.
        about: What it means; empty for keys of other packages.
        allowed: The legal values in words; empty if anything is.
        default: The default value as on the command line, or where it comes from; "" if it must be given.
    """

    name: str
    about: str
    allowed: str
    default: str


@dataclasses.dataclass(frozen=True)
class Choice:
    """A choice of a group.

    Attributes:
        name: As in group=name.
        about: A description.
        keys: The keys that it has.
    """

    name: str
    about: str
    keys: tuple[Key, ...]


@dataclasses.dataclass(frozen=True)
class Group:
    """A group of the configuration.

    Attributes:
        name: As in name=choice.
        about: A description.
        default: The name of the choice that is used by default; "null" for none.
        choices: All choices, by name.
    """

    name: str
    about: str
    default: str
    choices: tuple[Choice, ...]


def groups(*folders: Path) -> list[Group]:
    """Every group, in the order of `conf/config.yaml`.

    Args:
        folders: More folders with choices, as given by --config-dir.
    """
    contents, _ = read(conf_dir() / "config.yaml")
    return [
        Group(name, about, default, tuple(_choices(name, (*folders, conf_dir()))))
        for name, default, about in _GROUP.findall(contents)
    ]


def single_keys() -> list[Key]:
    """The keys of `conf/config.yaml` that belong to no group."""
    _, values = read(conf_dir() / "config.yaml")
    own = {field.name: field for field in dataclasses.fields(Config) if field.name in values}
    nested = [
        key
        for name, field in own.items()
        if dataclasses.is_dataclass(field.type)
        for key in keys_of(field.type, f"{name}.", values[name])
    ]
    return [*(key for key in keys_of(Config, "", values) if key.name in own), *nested]


def keys_of(node: Any, prefix: str, values: Mapping[Any, Any] | None = None) -> list[Key]:
    """The keys that a dataclass declares, with those of the dataclasses in it.

    Args:
        node: The dataclass.
        prefix: The beginning of their names, as in "trainer.".
        values: Defaults that replace those of the dataclass.
    """
    given, about = values or {}, texts_of(node)
    found = []
    for field in dataclasses.fields(node):
        if field.name.startswith("_") or field.name == "defaults":
            continue
        value = _raw(given, field)
        if dataclasses.is_dataclass(field.type):
            found += keys_of(
                field.type, f"{prefix}{field.name}.", value if isinstance(value, Mapping) else None
            )
        else:
            name = f"{prefix}{field.name}"
            found.append(Key(name, about.get(field.name, ""), _allowed(field), _shown(value)))
    return found


def texts_of(node: type[Any]) -> dict[str, str]:
    """The descriptions of a dataclass's fields, from the section "Attributes" of its docstring and those of its bases."""
    texts: dict[str, str] = {}
    for base in reversed(node.__mro__):
        _, _, section = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition("\nAttributes:\n")
        section = section.partition("\n\n")[0]
        texts |= {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section)}
    return texts


def type_in_words(annotation: Any) -> str | None:
    """A type as in messages, "an integer or null"; None if any value is allowed."""
    if annotation in _NAMES:
        return _NAMES[annotation]
    if getattr(annotation, "__origin__", None) is dict:
        return "a mapping of names to values"
    names = [_NAMES[member] for member in getattr(annotation, "__args__", ()) if member in _NAMES]
    if names and getattr(annotation, "__origin__", None) is list:
        return f"a list, each {names[0]}"
    return f"{names[0]} or null".replace("true or false or", "true, false or") if names else None


def _choices(group: str, folders: Sequence[Path]) -> Iterator[Choice]:
    files = {
        path.stem: path for folder in reversed(folders) for path in sorted((folder / group).glob("*.yaml"))
    }
    for name, path in files.items():
        text, values = read(path)
        yield Choice(name, first_comment(text), tuple(_keys_of_choice(group, name, values)))


def _keys_of_choice(group: str, choice: str, values: DictConfig) -> list[Key]:
    """The keys of a choice with its defaults; none for presets, which set keys of other groups."""
    types = {field.name: field.type for field in dataclasses.fields(Config)}
    node = NODES.get(group, {}).get(choice, types.get(group))
    if node is None:
        return []
    # A key that only names the choice is not set by itself.
    naming = {f"{group}.name", f"{group}.source"}
    keys = keys_of(node, f"{group}.", values)
    return [key for key in keys if key.name not in naming or key.default != choice]


def first_comment(text: str) -> str:
    """The first sentence-like comment of a file of the configuration."""
    comments = (line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    return next((line.rstrip(":") for line in comments if line and not line.startswith("@")), "")


def _raw(given: Mapping[Any, Any], field: "dataclasses.Field[Any]") -> Any:
    """A default without resolving references."""
    if field.name in given:
        if isinstance(given, DictConfig):
            return OmegaConf.to_container(given, resolve=False)[field.name]  # type: ignore[index, call-overload]
        return given[field.name]
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _shown(value: Any) -> str:
    """A default as on the command line."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_shown(inner)}' for key, inner in value.items())}}}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = "" if value is dataclasses.MISSING or value == MISSING else str(value)
    if match := _VARIABLE.fullmatch(text):
        return f"the environment variable {match.group(1)}, otherwise {match.group(2)}"
    text = _REFERENCE.sub(r"that of \1", text.replace("${results_dir:}", str(results_dir())))
    return "derived from other values" if "${" in text else text


def _allowed(field: "dataclasses.Field[Any]") -> str:
    """The legal values of a field in words."""
    rule: Rule | None = field.metadata.get(RULE_KEY)
    kind = type_in_words(field.type)
    if rule is None or field.type is bool:
        return kind or ""
    null = " or null" if (kind or "").endswith(" or null") else ""
    if rule.choices or kind is None or "string" in kind:
        return rule.allowed + null
    return f"{kind.removesuffix(' or null')}, {rule.allowed}{null and ', or null'}"
