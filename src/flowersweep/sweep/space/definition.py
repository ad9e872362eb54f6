"""The definition of a search space, and what differs between two of them: whether a study may go on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override

from flowersweep.sweep.space.dimension import Dimension
from flowersweep.sweep.space.values import plain, same, text_of

# Under this key a definition has what its trainings read, by its content: a list of digests for each of these.
CONTENT = "content"
_UNBOUND = (
    "It was begun before studies were bound to the content of their pictures, so there is no telling whether its "
    "trials were trained on these."
)
_READ = {
    "data.dir": "The pictures are",
    "model.weights": "The pretrained weights in model.weights are",
    "model.init_from": "The run that model.init_from=best stands for is",
}


def describe(items: Sequence[Dimension | Override]) -> dict[str, Any]:
    """A space as JSON has it; see `Space.definition`."""
    searched = {item.name: item for item in items if isinstance(item, Dimension)}
    fixed = [item for item in items if isinstance(item, Override)]
    return {
        "searched": {dimension.key: dimension.text for dimension in searched.values()},
        "order": [dimension.key for dimension in searched.values()],
        "conditions": {
            dimension.key: {
                searched[parent].key: sorted(searched[parent].options[index].text for index in indices)
                for parent, indices in sorted(dimension.when.items())
            }
            for dimension in searched.values()
            if dimension.when
        },
        "fixed": {override.get_key_element(): _fixed_text(override) for override in fixed},
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed from one definition to another, one sentence each; empty if nothing did.

    Args:
        old: What `Space.definition` gave, possibly after a way through JSON. Under `config` it may have the
            configuration that all trials share, and under `content` what they read; what a changed override explains
            is not said twice.
        new: The same of the other space.
    """
    if CONTENT in new and CONTENT not in old:
        return [_UNBOUND]
    changes = list(_searched(old["searched"], new["searched"]))
    both = [key for key in new["searched"] if key in old["searched"]]
    for key in both:
        before, after = (_condition(definition["conditions"].get(key)) for definition in (old, new))
        if before != after:
            changes.append(f"{key} was searched {before}, and is now searched {after}.")
    changes.extend(_fixed(old["fixed"], new["fixed"]))
    changes.extend(_configured(old, new))
    changes.extend(_content(old.get(CONTENT, {}), new.get(CONTENT, {})))
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
    before, after = (dict(_leaves(definition.get("config", {}))) for definition in (old, new))
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


def _digests(content: Sequence[str]) -> str:
    return ", ".join(digest[:12] for digest in content) or "none"


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _condition(condition: Mapping[str, Sequence[str]] | None) -> str:
    if not condition:
        return "always"
    return "only with " + " and ".join(f"{key}={' or '.join(texts)}" for key, texts in condition.items())


def _given(key: str, text: str) -> str:
    return f"{key}={text}" if text else key


def _fixed_text(override: Override) -> str:
    """The value in one canonical spelling; a deletion without one has none."""
    if override.is_delete():
        return (override.input_line or "").removeprefix(override.get_key_element()).removeprefix("=")
    return text_of(plain(override.value()))
