"""Limits of Optuna's storages, the same for all of them, so that a program works with each; checked before anything is stored.

Has no slow imports: trials check what they report themselves.
"""

import re

from flowersweep.errors import SweepError

# A column of 32 bits, and one of so many characters.
MAX_STEP = 2**31 - 1
MAX_NAME = 512
# A server refuses a longer statement by closing the connection, which looks as if it were away. In JSON.
MAX_VALUE = 4_000_000

STEPS = f"from 0 to {MAX_STEP:,}"
NAMES = f"of at most {MAX_NAME} characters without NUL and lone surrogates"
_NOT_IN_NAMES = re.compile("[\0\ud800-\udfff]")


def is_step(number: int) -> bool:
    """Whether a value can be reported for a step."""
    return 0 <= number <= MAX_STEP


def is_name(name: str) -> bool:
    """Whether a study, a param or an attribute can have a name."""
    return len(name) <= MAX_NAME and _NOT_IN_NAMES.search(name) is None


def refuse(step_or_name: object) -> None:
    """Refuse the step of a value, or the name of a study, a param or an attribute, that a storage cannot store.

    Raises:
        SweepError: It is too large, too long, or no text.
    """
    if isinstance(step_or_name, int) and not is_step(step_or_name):
        raise SweepError(f"A value was reported for step {step_or_name}, but steps are {STEPS}.")
    if isinstance(step_or_name, str) and not is_name(step_or_name):
        raise SweepError(
            f"{step_or_name[:60]!r} cannot be the name of a study, a param or an attribute, which is a text {NAMES}; rename it."
        )
