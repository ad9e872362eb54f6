"""Lists of names in sentences."""

from collections.abc import Sequence

MAX_LISTED = 6


def listed(names: Sequence[str]) -> str:
    """Names joined for a sentence: "a", "a and b", "a, b and c", "a, b and 7 more"."""
    few = (
        list(names)
        if len(names) <= MAX_LISTED
        else [*names[: MAX_LISTED - 1], f"{len(names) - MAX_LISTED + 1} more"]
    )
    return few[0] if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"
