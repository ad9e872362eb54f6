"""Files that are compared with their checksums: damaged ones go, those that cannot be read now stay."""

import errno
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowersweep.cache.atomic import locked, part_of
from flowersweep.cache.checkpoints import Checkpoint, checkpoint_path, write_checkpoint
from flowersweep.cache.draws import draw_path, write_draw
from flowersweep.cache.heads import Head, head_path, write_head
from flowersweep.cache.kinds import ALL, HASHES, PHOTOS, PHOTOS_ARCHIVE, PIXELS, UNREADABLE
from flowersweep.cache.verification import remove_damaged
from pixel_stores import opened, write_photos

DIGEST = "c" * 32


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Path]:
    """One file of each kind that has a checksum, in a cache."""
    cache = tmp_path / "cache"
    paths = {
        "checkpoint": checkpoint_path(cache, DIGEST),
        "head": head_path(cache, DIGEST),
        "draw": draw_path(cache, DIGEST, 0),
    }
    write_checkpoint(paths["checkpoint"], Checkpoint({"epochs": []}, {"a": [np.zeros(9)]}))
    with locked(paths["head"]):
        write_head(
            paths["head"], Head([np.zeros((3, 5), np.float32), np.zeros(5, np.float32)], [], reused=False)
        )
    with locked(paths["draw"]):
        write_draw(paths["draw"], (2, 3), "float32", [np.ones((2, 3), np.float32)])
    pictures = opened(write_photos(tmp_path / "photos", per_class=1, side=8), cache, size=8).path
    return paths | {"pictures": pictures, "note": pictures.with_suffix(".json")}


@pytest.mark.parametrize("kind", ["checkpoint", "head", "draw", "pictures", "note"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_what_cannot_be_read_now_stays(
    kind: str, number: int, whole: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk does not mean that a file is damaged: it is not removed, and the others are checked."""
    failing = str(whole[kind])

    def broken(real: Any) -> Any:
        def opening(path: Any, *arguments: Any, **options: Any) -> Any:
            if isinstance(path, str | os.PathLike) and os.fspath(path) == failing:
                raise OSError(number, os.strerror(number))
            return real(path, *arguments, **options)

        return opening

    monkeypatch.setattr("io.open", broken(open))
    monkeypatch.setattr("builtins.open", broken(open))
    monkeypatch.setattr("os.open", broken(os.open))
    found = remove_damaged(tmp_path / "cache")

    assert found.removed == []
    assert found.unread == {whole["pictures" if kind == "note" else kind]: os.strerror(number)}
    assert found.checked == 3
    assert all(path.exists() for path in whole.values())


@pytest.mark.parametrize("kind", ["checkpoint", "head", "draw", "pictures"])
def test_a_cut_file_is_removed(kind: str, whole: dict[str, Path], tmp_path: Path) -> None:
    """Half of a file is damaged, of whichever kind."""
    content = whole[kind].read_bytes()
    whole[kind].write_bytes(content[: len(content) // 2])
    found = remove_damaged(tmp_path / "cache")

    assert (found.checked, found.removed, found.unread) == (4, [whole[kind]], {})


@pytest.mark.parametrize("name", [PHOTOS, PHOTOS_ARCHIVE])
def test_a_running_download_stays(name: str, tmp_path: Path) -> None:
    """The photographs and their archive are written under one lock; afterwards both are left over."""
    part = part_of(tmp_path / name)
    with locked(tmp_path / PHOTOS):
        part.write_bytes(b"half")
        assert remove_damaged(tmp_path).removed == []

    assert remove_damaged(tmp_path).removed == [part]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.folder)
def test_incomplete_files_of_every_kind_are_removed(kind: Any, tmp_path: Path) -> None:
    """Whatever a killed process was writing."""
    part = part_of(kind.path(tmp_path, DIGEST))
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")

    assert remove_damaged(tmp_path).removed == [part]


@pytest.mark.parametrize(
    "target",
    [
        HASHES.path(Path(), DIGEST),
        UNREADABLE.path(Path(), f"{DIGEST}-v1"),
        PIXELS.path(Path(), f"{DIGEST}-8-v1").with_suffix(".json"),
        draw_path(Path(), DIGEST, 0).with_name("key.json"),
    ],
    ids=str,
)
def test_notes_that_are_being_written_stay(target: Path, tmp_path: Path) -> None:
    """Their writer has no lock, so only old ones count as left over."""
    part = tmp_path / target.with_name(f"{target.name}.ab_12xyz.part")
    part.parent.mkdir(parents=True)
    part.write_text("{")
    assert remove_damaged(tmp_path).removed == []

    hour_ago = time.time() - 3601
    os.utime(part, (hour_ago, hour_ago))
    assert remove_damaged(tmp_path).removed == [part]
