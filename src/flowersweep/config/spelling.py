"""How keys and values of a configuration are displayed."""

from collections.abc import Iterable
from typing import Any


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """The last part of each dotted key if it is unique, otherwise the complete key."""
    short = {key: key.replace("/", ".").rpartition(".")[2] for key in keys}
    ends = list(short.values())
    return {key: leaf if ends.count(leaf) == 1 else key for key, leaf in short.items()}


def value_text(value: Any) -> str:
    """A value as text, with four significant digits if it is a float."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def number_text(value: float) -> str:
    """A measured number as text: integers without a decimal point, otherwise four decimals, or digits if it is tiny.

    Large numbers, such as seconds, have fewer decimals: two from 10 on, one from 100 on.
    """
    if float(value).is_integer() and abs(value) > 1:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.{1 if abs(value) >= 100 else 2}f}"
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.3g}"


def mean_text(mean: float, deviation: float) -> str:
    """A mean with its standard deviation, both with the same number of decimals, unless that makes the latter zero.

    >>> mean_text(0.9396, 0.000787)
    '0.9396 ± 0.0008'
    """
    text = number_text(mean)
    rounded = f"{deviation:.{len(text.partition('.')[2])}f}"
    return f"{text} ± {rounded if float(rounded) or not deviation else number_text(deviation)}"
