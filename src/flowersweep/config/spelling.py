"""How keys and values of a configuration are displayed."""

from collections import Counter
from collections.abc import Collection, Iterable
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
    """A value as text, with four significant digits if it is a float."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def number_text(value: float) -> str:
    """A measured number as text: integers without a decimal point, otherwise four decimals, or digits if it is tiny.

    Large numbers, such as seconds, have fewer decimals: two from 10 on, one from 100 on.
    """
    return f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else _measured(value)


def _measured(value: float) -> str:
    return f"{value:.{_decimals(value)}f}" if value == 0 or abs(value) >= 0.001 else f"{value:.3g}"


def _decimals(value: float) -> int:
    return 4 if abs(value) < 10 else 2 if abs(value) < 100 else 1


def mean_text(mean: float, deviation: float) -> str:
    """A mean with its standard deviation, both with the same number of decimals, unless that makes the latter zero.

    >>> mean_text(0.9396, 0.000787)
    '0.9396 ± 0.0008'
    """
    if float(mean).is_integer() and float(deviation).is_integer() and abs(mean) > 1:
        return f"{mean:.0f} ± {deviation:.0f}"
    rounded = f"{deviation:.{_decimals(mean)}f}"
    is_tiny = 0 < abs(mean) < 0.001 or not float(rounded)
    return f"{_measured(mean)} ± {number_text(deviation) if is_tiny and deviation else rounded}"
