"""Texts: names of files, classes and studies from outside, shown unchanged; numbers; suggestions for mistyped words."""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Context
from pathlib import Path, PurePath

# What a terminal would obey, or show as several lines or in another order; but not line breaks and tabs.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"


def is_line(name: str) -> bool:
    """Whether a name is one line of text: the names of files are bytes, which may break lines and need not be UTF-8."""
    is_text = not any("\ud800" <= character <= "\udfff" for character in name)
    return is_text and "".join(name.splitlines()) == name


def as_text(name: str | PurePath) -> str:
    r"""A name that any text file accepts: bytes that are not UTF-8 are written as in `caf\xe9.jpg`."""
    try:
        content = os.fsencode(name)
    except UnicodeEncodeError:  # half of a character, which YAML and JSON can contain
        content = os.fspath(name).encode(errors="backslashreplace")
    return content.decode(errors="backslashreplace")


def expanded(path: str | PurePath) -> Path:
    """A path with the home folder instead of `~`; as in a shell, `~nobody` is an ordinary name if there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path's own raises there)


def in_one_line(name: str | PurePath) -> str:
    r"""A name that does not break a line or a table, as in `a\nb.jpg`: as `printable`, and also line breaks and tabs."""
    return _escaped(f"\t\n{_CONTROLS}", as_text(name))


def printable(text: str) -> str:
    r"""A text that a terminal shows and does not obey: control characters are escaped, as in `\x1b[31m`.

    Line breaks and tabs stay. For what others have written, such as the messages of exceptions.
    """
    return _escaped(_CONTROLS, text.replace("\r\n", "\n"))


def _escaped(characters: str, text: str) -> str:
    return re.sub(f"[{characters}]", lambda found: found[0].encode("unicode_escape").decode(), text)


def paired(given: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    r"""Which of the known names each given one is; one that is none of them is left out.

    Unicode can write a letter such as é as one character or as two, and systems write names in one way or the other. Names that
    differ only in this are the same, unless one of them is also there as it is, or there are several.

    Example:
        >>> paired(["rose", "rose\u0301"], ["lily", "ros\xe9"])["rose\u0301"] == "ros\xe9"
        True
    """
    given, known = dict.fromkeys(given), dict.fromkeys(known)
    pairs = {name: name for name in given if name in known}
    here, there = (_by_form(name for name in names if name not in pairs) for names in (given, known))
    for form, names in here.items():
        if len(names) == len(there.get(form, [])) == 1:
            pairs[names[0]] = there[form][0]
    return pairs


def _by_form(names: Iterable[str]) -> dict[str, list[str]]:
    forms: dict[str, list[str]] = {}
    for name in names:
        forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    return forms


def nearest(received: object, allowed: Iterable[str]) -> str:
    """' Did you mean X?' when something allowed is a likely spelling of what was received, else nothing."""
    close = nearest_of(str(received), allowed)
    return f" Did you mean {close}?" if close else ""


def nearest_of(received: str, allowed: Iterable[str]) -> str | None:
    """The allowed name of which another one is a likely spelling; None if there is none.

    Likely are: another case or other separators; a few typing errors (one in four characters, without the words that
    both names have in common); and the beginning of a name, of at least three characters.
    """
    names = list(allowed)
    ranked = [(rank, name) for name in names if (rank := _rank_of_spelling(received, name)) is not None]
    return min(ranked, key=lambda one: one[0])[1] if ranked else None


def _rank_of_spelling(received: str, name: str) -> float | None:
    """How far a name is from what was received, in typing errors; None if it is unrelated."""
    mine, its = _words(received), _words(name)
    begun, whole = "".join(mine), "".join(its)
    if begun == whole:
        return 0
    while mine and its and mine[0] == its[0]:
        del mine[0], its[0]
    while mine and its and mine[-1] == its[-1]:
        del mine[-1], its[-1]
    typed, right = "".join(mine), "".join(its)
    length = max(len(typed), len(right))
    errors = edit_distance(typed, right)
    likely = max(len(begun), len(whole)) >= 3 and errors < length and errors <= max(1, length // 4)
    ranks = [errors] if likely else []
    begins = len(begun) >= 3 and whole.startswith(begun)
    # More likely than any typing error: val_acc is val_accuracy, not val_auc.
    return min([*ranks, *([0.5] if begins else [])], default=None)


def _words(name: str) -> list[str]:
    """The words of a name such as `fine_tune_at`, `RandomFlip` or `trainer.epochs`, in lower case; numbers are words."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+", name)]


def edit_distance(one: str, other: str) -> int:
    """Number of characters to insert, delete, replace, or exchange with their neighbour, to turn one text into another."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, character in enumerate(one, start=1):
        row = [i]
        for j, its in enumerate(other, start=1):
            steps = [last[j] + 1, row[j - 1] + 1, last[j - 1] + (character != its)]
            if i > 1 and j > 1 and character == other[j - 2] and one[i - 2] == its:
                steps.append(before[j - 2] + 1)
            row.append(min(steps))
        before, last = last, row
    return last[-1]


def choose_one_of(choices: Sequence[str], received: str) -> str:
    """The end of a message about a wrong name: the allowed choices, and the one that was probably meant."""
    return f"choose one of {', '.join(choices)}.{nearest(received, choices)}"


def counted(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun: "1 picture", "3,670 pictures"; the plural is that with an s unless another one is given."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def upper_bound(value: float) -> str:
    """A number with two significant digits that is not smaller, as what it is said to be at most.

    >>> upper_bound(0.1249)
    '0.13'
    """
    # Of its shortest text: the float that is written 0.13 is a little more than that.
    return f"{float(Context(prec=2, rounding=ROUND_CEILING).create_decimal(repr(float(value)))):.2g}"


# Larger integers are shown with an exponent.
_MAX_WHOLE = 1e15


def number_text(value: float) -> str:
    """A measured number as text: integers without a decimal point, otherwise four decimals, or three digits if it is tiny.

    Large numbers, such as seconds, have fewer decimals: two from 10 on, one from 100 on. Numbers just below 1 have more, so
    that only 1 itself is shown as 1.
    """
    if float(value).is_integer() and abs(value) < _MAX_WHOLE:
        return f"{value + 0:.0f}"
    return f"{value:.6g}" if abs(value) >= _MAX_WHOLE else _measured(value)


def share_text(share: float, decimals: int = 0) -> str:
    """A share as a percentage; only all is shown as 100 %, and only none as 0 %.

    Args:
        share: 0..1.
        decimals: Of the percentage.

    >>> share_text(0.9997, decimals=1)
    '>99.9%'
    """
    text = f"{share:.{decimals}%}"
    if text == f"{1:.{decimals}%}" and share < 1:
        return f">{1 - 10 ** -(decimals + 2):.{decimals}%}"
    return f"<{10 ** -(decimals + 2):.{decimals}%}" if text == f"{0:.{decimals}%}" and share > 0 else text


def _measured(value: float) -> str:
    if 0 < abs(value) < 0.001:
        return f"{value:.3g}"
    decimals = _decimals(value)
    while abs(value) < 1 and abs(float(f"{value:.{decimals}f}")) == 1:
        decimals += 1
    return f"{value:.{decimals}f}"


def _decimals(value: float) -> int:
    return 4 if abs(value) < 10 else 2 if abs(value) < 100 else 1


def mean_text(mean: float, deviation: float) -> str:
    """A mean with its standard deviation, both with the same number of decimals, unless that makes the latter zero.

    >>> mean_text(0.9396, 0.000787)
    '0.9396 ± 0.0008'
    """
    if float(mean).is_integer() and float(deviation).is_integer():
        return f"{number_text(mean)} ± {number_text(deviation)}"
    rounded = f"{deviation:.{_decimals(mean)}f}"
    is_tiny = 0 < abs(mean) < 0.001 or not float(rounded)
    return f"{_measured(mean)} ± {number_text(deviation) if is_tiny and deviation else rounded}"
