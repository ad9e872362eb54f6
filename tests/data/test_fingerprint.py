"""The fingerprint: what changes it, what does not, and what it costs."""

import errno
import importlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from flowersweep.data import fingerprint, read_folder

module = importlib.import_module("flowersweep.data.fingerprint")  # the function has the same name
# Files that were written a moment ago, or by the file system's coarse clock a moment hence, count as settled.
SETTLED = -1_000_000_000


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes with three files that are no pictures; only their bytes matter here."""
    root = tmp_path / "photos"
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that does not exist yet."""
    return tmp_path / "cache"


def test_is_short_and_stable(photos: Path, cache: Path) -> None:
    """The fingerprint is 32 hexadecimal digits and the same at every call."""
    first = fingerprint(read_folder(photos), cache)

    assert first == fingerprint(read_folder(photos), cache)
    assert len(bytes.fromhex(first)) == 16


def test_does_not_depend_on_where_the_folder_lies(photos: Path, cache: Path, tmp_path: Path) -> None:
    """A copy of the folder elsewhere, with another cache, has the same fingerprint."""
    shutil.copytree(photos, tmp_path / "elsewhere/copy")

    assert fingerprint(read_folder(photos), cache) == fingerprint(
        read_folder(tmp_path / "elsewhere/copy"), tmp_path / "other"
    )


def test_many_pictures_are_hashed_in_batches(
    photos: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fingerprint does not depend on how many files wait for a thread."""
    whole = fingerprint(read_folder(photos), cache)
    monkeypatch.setattr(module, "_AT_ONCE", 2)

    assert fingerprint(read_folder(photos), tmp_path / "other") == whole


@pytest.mark.parametrize("change", ["content", "rename", "move", "add", "remove", "class"])
def test_every_change_shows(photos: Path, cache: Path, change: str) -> None:
    """Changing, renaming, moving, adding or removing a picture or renaming a class changes it."""
    before = fingerprint(read_folder(photos), cache)
    match change:
        case "content":
            (photos / "a/1.jpg").write_text("A/1.jpg")  # as long as before
        case "rename":
            (photos / "a/1.jpg").rename(photos / "a/0.jpg")
        case "move":
            (photos / "a/2.jpg").rename(photos / "b/2.jpg")
        case "add":
            (photos / "b/9.jpg").write_text("")
        case "remove":
            (photos / "a/1.jpg").unlink()
        case "class":
            (photos / "a").rename(photos / "aa")

    assert fingerprint(read_folder(photos), cache) != before


def test_remembered_hashes_are_not_read_again(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call opens no picture; after a change it opens only that one."""
    monkeypatch.setattr(module, "_SETTLED_NS", SETTLED)
    read: list[str] = []
    content = module._content

    def recording(path: Path) -> str:
        read.append(path.name)
        return str(content(path))

    monkeypatch.setattr(module, "_content", recording)
    first = fingerprint(read_folder(photos), cache)
    assert sorted(read) == ["1.jpg", "1.jpg", "2.jpg"]
    read.clear()

    assert fingerprint(read_folder(photos), cache) == first
    assert read == []

    (photos / "a/2.jpg").write_text("other")
    fingerprint(read_folder(photos), cache)
    assert read == ["2.jpg"]


def test_an_old_modification_time_does_not_hide_a_change(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the same size put in place with the old file's time is noticed."""
    monkeypatch.setattr(module, "_SETTLED_NS", SETTLED)
    before = fingerprint(read_folder(photos), cache)
    path = photos / "a/1.jpg"
    stat = path.stat()
    path.write_text("A/1.jpg")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert path.stat().st_size == stat.st_size
    assert fingerprint(read_folder(photos), cache) != before


def test_fresh_files_are_not_remembered(photos: Path, cache: Path) -> None:
    """What changed within the last two seconds might change again unseen, so its hash is not kept."""
    fingerprint(read_folder(photos), cache)

    assert not (cache / "hashes").exists()


def test_a_damaged_memory_is_ignored(photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remembered hashes that cannot be parsed are computed anew."""
    monkeypatch.setattr(module, "_SETTLED_NS", SETTLED)
    first = fingerprint(read_folder(photos), cache)
    (memory,) = (cache / "hashes").iterdir()
    for garbage in ("", "[1]", '{"a/1.jpg": 3}', memory.read_text()[:-9]):
        memory.write_text(garbage)

        assert fingerprint(read_folder(photos), cache) == first


def test_unreadable_and_oddly_named_files_have_one_too(photos: Path, cache: Path) -> None:
    """A dangling link and a name that is not valid text do not stop the fingerprint."""
    (photos / "a/dangling.jpg").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(photos) + b"/a/\xff.jpg")).write_text("x")

    assert len(fingerprint(read_folder(photos), cache)) == 32


def test_an_error_of_the_disk_is_not_remembered(
    photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fingerprint is right again when the picture can be read again, also if an older version stored the error."""
    monkeypatch.setattr(module, "_SETTLED_NS", SETTLED)
    right = fingerprint(read_folder(photos), tmp_cache := cache / "before")
    real = Path.open

    def failing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == photos / "a/2.jpg":
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        assert fingerprint(read_folder(photos), cache) != right

    assert fingerprint(read_folder(photos), cache) == right
    (memory,) = (tmp_cache / "hashes").iterdir()
    known = json.loads(memory.read_text())
    known["a/2.jpg"][-1] = "cannot be read"
    memory.write_text(json.dumps(known))
    assert fingerprint(read_folder(photos), tmp_cache) == right


@pytest.mark.photos
def test_the_second_call_opens_no_picture_of_thousands(
    photos_dir: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hashes of 3,670 real photographs are remembered."""
    catalogue = read_folder(photos_dir)
    first = fingerprint(catalogue, cache)
    monkeypatch.setattr(module, "_content", lambda path: pytest.fail(f"{path} is read again"))

    assert len(catalogue) == 3670
    assert fingerprint(catalogue, cache) == first
