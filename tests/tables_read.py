"""What tests of tables share: finding words that a narrow terminal broke."""

import re
from collections.abc import Iterable


def broken_words(printed: str, expected: Iterable[str]) -> set[str]:
    """The expected words that are not whole in what was printed."""
    words = {word for line in printed.splitlines() for word in re.split(r"[\s┃│=]+", line)}
    return set(expected) - words
