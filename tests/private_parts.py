"""What the tests of `flowersweep.doors` have in common: a private part of another package is still there, or is said to be gone."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import pytest


@dataclass(frozen=True)
class Part:
    """A private part of another package.

    Attributes:
        name: As one reads it, such as `Study._storage`.
        look: Uses it; raises if it is not there, or returns None.
        function: The function of flowersweep that needs it.
        purpose: What for; continues "needs to".
    """

    name: str
    look: Callable[[], object]
    function: str
    purpose: str

    def __str__(self) -> str:
        return self.name


def require(package: str, part: Part) -> None:
    """Fail with one sentence if a package no longer has a part.

    Args:
        package: As it is installed.
        part: One of its parts.
    """
    try:
        found = part.look()
    except (AttributeError, ImportError, LookupError, TypeError):
        found = None
    if found is None:
        pytest.fail(
            f"{package} {version(package)} no longer has {part.name}, which flowersweep.{part.function} needs to "
            f"{part.purpose}; change that function, or pin {package} to an older version.",
            pytrace=False,
        )
