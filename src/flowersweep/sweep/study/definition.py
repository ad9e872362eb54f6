"""The definition of a study: what it searches and what its trials share, how two definitions differ, and a derived name.

Every sweep with the same definition continues a study, and no other sweep does.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flowersweep.config.schema import added_keys
from flowersweep.redaction import redacted_tree
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.space.values import leaves, same, text_of

# The parts of flowersweep's own configuration that say what is stored where, and do not affect the result of a trial.
_KEPT_IN = ("tracking", "paths", "bank.max_gigabytes")
# The same, if the content of what is read from there is in the definition instead.
_READ_FROM = ("data.dir", "data.split_file", "model.weights")
# The same of another program, of which only these are known: flowersweep itself reads them.
_KEPT_IN_BY_OTHERS = ("tracking.dir", "tracking.log_figures")
# What is not in definitions from before they had a list of it; a derived name still does not depend on these.
_FORMERLY_LEFT_OUT = ("tracking", "paths", "bank", "cluster")
# Not a key: what starts the workers. What else such a group contains is in the configuration.
_CLUSTER = "cluster"
# Under these keys, a definition has the content of what its trainings read, a list of digests for each of these, and a list
# of the keys that are not in it.
_CONTENT = "content"
LEFT_OUT = "left_out"
# The same, for the trials of another program: which one.
PROGRAM = "program"
# What definitions did not have once: a study is bound to it when its command continues it.
ADDED = (LEFT_OUT, PROGRAM)
_UNBOUND = (
    "It was started before studies were bound to the content of their pictures, so it is unknown whether its "
    "trials were trained on these."
)
_READ = {
    "data.dir": "The pictures are",
    "data.split_file": "The split in data.split_file is",
    "model.weights": "The pretrained weights in model.weights are",
    "model.init_from": "The run that model.init_from=best refers to is",
    "own code": "Your own code is",
}


def definition_of(
    space: Space,
    config: DictConfig,
    n_repeats: int = 1,
    content: Mapping[str, Sequence[str]] | None = None,
    program: str | None = None,
) -> dict[str, Any]:
    """What a study searches, as stored with it, without passwords, and compared with what a later command searches.

    Args:
        space: Of the sweep.
        config: The sweep's own configuration.
        n_repeats: Of the sweep.
        content: What its trials read, see `flowersweep.sweep.study.content.Content.listed`; its location is then not a part of
            the definition. None for an application for which this is unknown.
        program: Of such an application, see `flowersweep.own.names.program_name`: two may have equal configurations.
    """
    places = _KEPT_IN_BY_OTHERS if content is None else (*_KEPT_IN, *_READ_FROM)
    given = space.definition()
    fixed = {key: text for key, text in given["fixed"].items() if key.lstrip("+~") != _CLUSTER}
    shared = {"fixed": fixed, "config": _shared_config(config, n_repeats)}
    definition = {**given, **_without_places(shared, places), LEFT_OUT: list(places)}
    if content is not None:
        definition[_CONTENT] = dict(content)
    if program is not None:
        definition[PROGRAM] = program
    return dict(redacted_tree(definition))


def _without_places(definition: Mapping[str, Any], places: Collection[str]) -> dict[str, Any]:
    """A definition whose configuration, also as far as it was typed, has none of these keys."""
    fixed = {
        key: text for key, text in definition["fixed"].items() if not _is_place(key.lstrip("+~"), places)
    }
    return {**definition, "fixed": fixed, "config": _pruned(definition.get("config", {}), places)}


def _is_place(key: str, places: Collection[str]) -> bool:
    return any(f"{key}.".startswith(f"{place}.") for place in places)


def _pruned(node: Mapping[Any, Any], places: Collection[str], prefix: str = "") -> dict[str, Any]:
    kept = {
        str(key): _pruned(value, places, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in node.items()
        if not _is_place(f"{prefix}{key}", places)
    }
    # A group of such keys alone is left out with them.
    return {key: value for key, value in kept.items() if value != {} or node.get(key) == {}}


def _shared_config(config: DictConfig, n_repeats: int) -> dict[str, Any]:
    """The configuration that all trials of a sweep share, as values for JSON.

    Args:
        config: The sweep's own; searched keys have their defaults in it.
        n_repeats: Included because a mean of three trainings is not comparable with a single one.
    """
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)  # noqa: S101 (a DictConfig is a mapping)
    kept = _without_added({str(key): value for key, value in plain.items() if key != "hydra"})
    kept["hydra.sweeper.n_repeats"] = n_repeats
    if name := OmegaConf.select(config, "hydra.sweeper.custom_search_space"):
        kept["hydra.sweeper.custom_search_space"] = name
    return dict(json.loads(json.dumps(_with_text_keys(kept), default=str)))


def _with_text_keys(node: Any) -> Any:
    """The same with texts for keys that JSON does not have, such as members of an Enum."""
    if isinstance(node, Mapping):
        return {
            key if isinstance(key, str | int | float | None) else str(key): _with_text_keys(value)
            for key, value in node.items()
        }
    return [_with_text_keys(item) for item in node] if isinstance(node, list) else node


def _without_added(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the keys that did not exist in the first version and have no effect, so that its studies go on."""
    kept = {name: dict(value) if isinstance(value, Mapping) else value for name, value in config.items()}
    for key, default in added_keys().items():
        group, _, name = key.partition(".")
        node = kept.get(group)
        if isinstance(node, dict) and name in node and same(node[name], default):
            del node[name]
    return kept


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The changes from one definition to another, one message each; empty if there are none.

    Args:
        old: From `definition_of`, possibly read back from JSON; a change that is explained by an override is not listed
            twice.
        new: The same of the other study.
    """
    if _CONTENT in new and _CONTENT not in old:
        return [_UNBOUND]
    # The values with which the trials of an old definition ran are unknown, and its command continues it.
    places = {key for one in (old, new) for key in one.get(LEFT_OUT, _FORMERLY_LEFT_OUT)}
    old, new = (_without_places(one, places) for one in (old, new))
    changes = list(_searched(old["searched"], new["searched"]))
    both = [key for key in new["searched"] if key in old["searched"]]
    for key in both:
        before, after = (_condition(definition["conditions"].get(key)) for definition in (old, new))
        if before != after:
            changes.append(f"{key} was searched {before}, and is now searched {after}.")
    changes.extend(_fixed(old["fixed"], new["fixed"]))
    changes.extend(_configured(old, new))
    changes.extend(_content(old.get(_CONTENT, {}), new.get(_CONTENT, {})))
    changes.extend(_program(old, new))
    if not changes and old["order"] != new["order"]:
        changes.append(
            f"The searched keys were in the order {', '.join(old['order'])}, and are now {', '.join(new['order'])}."
        )
    return changes


def _searched(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for key in [*old, *(key for key in new if key not in old)]:
        if key not in new:
            yield f"{key} is no longer searched; it was {old[key]}."
        elif key not in old:
            yield f"{key} is now searched, as {new[key]}; it was not."
        elif old[key] != new[key]:
            yield f"{key} was searched as {old[key]}, and is now {new[key]}."


def _fixed(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for key in [*old, *(key for key in new if key not in old)]:
        if key not in new:
            yield f"{key} is no longer given; it was {_given(key, old[key])}."
        elif key not in old:
            yield f"{_given(key, new[key])} is now given; it was not."
        elif old[key] != new[key]:
            yield f"{key} was {old[key]}, and is now {new[key]}."


def _configured(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = (dict(leaves(_without_added(definition.get("config", {})))) for definition in (old, new))
    overridden = {
        key.lstrip("+~")
        for key in [*old["fixed"], *new["fixed"]]
        if old["fixed"].get(key) != new["fixed"].get(key)
    }
    searched = {key.lstrip("+") for key in [*old["searched"], *new["searched"]]}
    for key in [*before, *(key for key in after if key not in before)]:
        explained = key in searched or any(f"{key}.".startswith(f"{name}.") for name in overridden)
        if explained or (key in before and key in after and same(before[key], after[key])):
            continue
        if key not in after:
            yield f"{key} is no longer in the configuration; it was {text_of(before[key])}."
        elif key not in before:
            yield f"{key} is now in the configuration, as {text_of(after[key])}; it was not."
        else:
            yield f"{key} was {text_of(before[key])}, and is now {text_of(after[key])}."


def _content(old: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for key, subject in _READ.items():
        before, after = (list(content.get(key, ())) for content in (old, new))
        if before != after:
            yield f"{subject} not what its trials read: the content was {_digests(before)}, and is now {_digests(after)}."


def _program(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = (definition.get(PROGRAM) for definition in (old, new))
    if before is not None and after is not None and before != after:
        yield f"The program was {before}, and is now {after}."


def _digests(content: Sequence[str]) -> str:
    return ", ".join(digest[:12] for digest in content) or "none"


def _condition(condition: Mapping[str, Sequence[str]] | None) -> str:
    if not condition:
        return "always"
    return "only with " + " and ".join(f"{key}={' or '.join(texts)}" for key, texts in condition.items())


def _given(key: str, text: str) -> str:
    return f"{key}={text}" if text else key


def derived_name(space: Space, definition: Mapping[str, Any], directions: Sequence[str]) -> str:
    """The name of a study that was given none: the same command has the same one.

    What is searched is readable in it; a hash of the definition distinguishes names that read the same. What formerly was no
    part of a definition is not in the hash, so that the same command finds its study; `open_study` compares all of it.
    """
    keys = "-".join(name.rpartition(".")[2] for name in space.searched) or "single"
    hashed = _without_places(definition, _FORMERLY_LEFT_OUT)
    for name in ADDED:
        hashed.pop(name, None)
    text = json.dumps([hashed, list(directions)], sort_keys=True)
    return f"{keys[:40].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
