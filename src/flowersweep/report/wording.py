"""Lists of names in sentences, and the p of a comparison."""

from collections.abc import Sequence

from flowersweep.ranking.significance import ALPHA

MAX_LISTED = 6


def listed(names: Sequence[str]) -> str:
    """Names joined for a sentence: "a", "a and b", "a, b and c", "a, b and 7 more"."""
    few = (
        list(names)
        if len(names) <= MAX_LISTED
        else [*names[: MAX_LISTED - 1], f"{len(names) - MAX_LISTED + 1} more"]
    )
    return few[0] if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"


def p_text(p: float) -> str:
    """A p with three decimals, or with as many as show on which side of the limit it is.

    >>> p_text(0.0123), p_text(0.04996), p_text(0.0004)
    ('p 0.012', 'p 0.04996', 'p < 0.001')
    """
    if p < 0.001:
        return "p < 0.001"
    digits = 3
    while (round(p, digits) < ALPHA) != (p < ALPHA):
        digits += 1
    return f"p {p:.{digits}f}"
