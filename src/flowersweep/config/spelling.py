"""How keys and values of a configuration are displayed."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """The last part of each dotted key if it is unique, otherwise the complete key."""
    short = {key: _leaf(key) for key in keys}
    ends = list(short.values())
    return {key: leaf if ends.count(leaf) == 1 else key for key, leaf in short.items()}


def headings(
    searched: Collection[str], objectives: Collection[str], others: Collection[str], *, short: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """The headings of searched keys and of objectives in one table: all are different, also from those of its other columns.

    Args:
        searched: The searched keys.
        objectives: The names of the objectives.
        others: The headings of the other columns.
        short: Whether a heading is the last part of a key where that is unique, instead of the complete key; where that is
            not unique either, it is told what it is, as in searched/rank.
    """
    columns = [("searched", key) for key in searched] + [("objective", name) for name in objectives]
    spellings = {(kind, key): [_leaf(key), key, f"{kind}/{key}"][not short :] for kind, key in columns}
    clashing = columns
    while clashing:
        used = Counter([*(some[0] for some in spellings.values()), *set(others)])
        clashing = [one for one, some in spellings.items() if used[some[0]] > 1 and len(some) > 1]
        for one in clashing:
            del spellings[one][0]
    heads = {one: some[0] for one, some in spellings.items()}
    return {key: heads["searched", key] for key in searched}, {
        name: heads["objective", name] for name in objectives
    }


def _leaf(key: str) -> str:
    return key.replace("/", ".").rpartition(".")[2]


def value_text(value: Any) -> str:
    """A value as text: floats with four significant digits, lists and mappings as in an override."""
    if isinstance(value, list):
        return f"[{','.join(map(value_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{value_text(one)}' for key, one in value.items())}}}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def value_texts(values: Sequence[Any]) -> list[str]:
    """The values of one key as text, as `value_text`, with more digits for floats that would otherwise have the same text.

    >>> value_texts([0.5, 0.123412, 0.123449])
    ['0.5', '0.12341', '0.12345']
    """
    alike = {value for value in values if isinstance(value, float)}
    told: dict[float, str] = {}
    for digits in range(4, 18):  # 17 digits tell all floats apart
        texts = {value: f"{value:.{digits}g}" for value in alike}
        told |= texts
        times = Counter(texts.values())
        alike = {value for value, text in texts.items() if times[text] > 1}
    return [told[value] if isinstance(value, float) else str(value) for value in values]
