"""The kinds of files in the cache."""

from pathlib import Path

import pytest

from flowersweep.cache import kinds
from flowersweep.cache.kinds import Kind

KINDS = [value for value in vars(kinds).values() if isinstance(value, Kind)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.folder)
def test_the_pattern_finds_what_the_path_names(kind: Kind, tmp_path: Path) -> None:
    """A file of one kind is found by the pattern of that kind, and by no other one."""
    path = kind.path(tmp_path, "a" * 32)
    path.parent.mkdir()
    path.touch()
    assert [other for other in KINDS if list(tmp_path.glob(other.pattern))] == [kind]
