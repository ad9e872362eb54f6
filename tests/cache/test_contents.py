"""The list of what is in the cache."""

from pathlib import Path

import pytest

from flowersweep.cache.checkpoints import Checkpoint, checkpoint_path, checkpoint_paths, write_checkpoint
from flowersweep.cache.contents import contents
from flowersweep.cache.files import ours


def test_what_is_removed_meanwhile_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that ends removes its checkpoint between the search for files and the look at them."""
    for name in ("a" * 32, "b" * 32):
        write_checkpoint(checkpoint_path(tmp_path, name), Checkpoint({"epochs": [{}]}, {}))

    def and_remove(cache: Path, pattern: str) -> list[Path]:
        found = ours(cache, pattern)
        for path in found:
            if path.stem == "a" * 32:
                path.unlink()
        return found

    monkeypatch.setattr("flowersweep.cache.contents.ours", and_remove)
    found = {item.path.stem: (item.size > 0, item.used > 0) for item in contents(tmp_path)}
    assert found == {"a" * 32: (False, False), "b" * 32: (True, True)}


def test_a_checkpoint_that_cannot_be_looked_at_is_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared folder that fails for a moment does not end the search for an interrupted training."""
    paths = [checkpoint_path(tmp_path, name) for name in ("a" * 32, "b" * 32)]
    for path in paths:
        write_checkpoint(path, Checkpoint({}, {}))
    stat = Path.stat

    def stale(self: Path, **given: bool) -> object:
        if self == paths[1]:
            raise OSError("Stale file handle")
        return stat(self, **given)

    monkeypatch.setattr(Path, "stat", stale)
    assert checkpoint_paths(tmp_path) == paths
