"""Which pictures are meant, and how they arrive."""

import errno
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from flowersweep.data import decode
from flowersweep.deploy.images import batches, find_pictures
from flowersweep.errors import DataError

NO_LINES = io.StringIO()


def test_a_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    """Only its content has to be a picture, which is seen later."""
    file = tmp_path / "flower"
    file.touch()

    assert find_pictures([str(file)], NO_LINES) == [file]


def test_a_folder_is_searched_to_the_bottom(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Pictures by the endings that count in training, sorted, without hidden ones; what is left out is told."""
    for name in ("b/2.JPG", "b/c/1.webp", "a.png", "notes.txt", ".hidden/3.jpg", "b/.4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    found = find_pictures([str(tmp_path)], NO_LINES)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.png", "b/2.JPG"]
    assert "Left out 2 files" in caplog.text


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pictures would be missing without a word."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.png").touch()
    listing = os.scandir

    def denied(folder: str) -> object:
        if Path(folder).name == "inner":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return listing(folder)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"^The folder .*/inner cannot be listed \(Permission denied\)"):
        find_pictures([str(tmp_path)], NO_LINES)


def test_a_list_is_taken_as_it_is() -> None:
    """In its order, without its empty lines, whether the files are there or not."""
    assert find_pictures(["-"], io.StringIO("z.jpg\n\na b.jpg\n")) == [Path("z.jpg"), Path("a b.jpg")]


def test_several_are_taken_in_their_order(tmp_path: Path) -> None:
    """A file, a folder and a list, one after the other."""
    for name in ("z.jpg", "folder/b.png", "folder/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    given = [str(tmp_path / "z.jpg"), str(tmp_path / "folder"), "-"]
    found = find_pictures(given, io.StringIO("listed.jpg\n"))
    assert [path.name for path in found] == ["z.jpg", "a.png", "b.png", "listed.jpg"]


@pytest.mark.parametrize(("given", "message"), [("-", "it was empty"), ("nowhere", "does not exist")])
def test_nothing_is_refused(given: str, message: str) -> None:
    """An empty list and a path that leads nowhere."""
    with pytest.raises(DataError, match=message):
        find_pictures([given], io.StringIO("\n"))


def test_a_closed_input_is_an_empty_list() -> None:
    """As a service manager leaves it."""
    with pytest.raises(DataError, match="it was empty"):
        find_pictures(["-"], None)


def test_a_name_may_begin_like_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a user that there is not."""
    monkeypatch.chdir(tmp_path)
    Path("~nobody-of-that-name.jpg").touch()

    assert find_pictures(["~nobody-of-that-name.jpg"], NO_LINES) == [Path("~nobody-of-that-name.jpg")]


def test_a_list_has_to_be_text() -> None:
    """A picture sent where its path was expected."""
    with pytest.raises(DataError, match="standard input is not text"):
        find_pictures(["-"], io.TextIOWrapper(io.BytesIO(b"\xff\xd8\xff\x00"), encoding="utf-8"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
@pytest.mark.parametrize(
    "name", [b"caf\xe9.jpg", b"a\tb.jpg", b"a\x0bb\x0c\x1c.jpg", "a\u2028b\x85.jpg".encode(), b"~x/a.jpg"]
)
def test_a_list_names_files_as_the_file_system_does(name: bytes) -> None:
    """Bytes that are no UTF-8 and whatever else Python breaks lines at are part of a name."""
    stdin = io.TextIOWrapper(io.BytesIO(name + b"\r\n" + name + b"\n"), encoding="utf-8")
    assert [os.fsencode(path) for path in find_pictures(["-"], stdin)] == [name, name]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """The message says what would count as a picture."""
    with pytest.raises(
        DataError, match=r"contains no pictures \(\.bmp.*\) but no files at all; add some, or give the files"
    ):
        find_pictures([str(tmp_path)], NO_LINES)
    (tmp_path / "1.webp").touch()
    with pytest.raises(
        DataError, match=r"but only files with other extensions: \.webp 1; add some, or give them one of"
    ):
        find_pictures([str(tmp_path)], NO_LINES)


def test_batches_are_decoded_as_for_training_and_name_what_is_unreadable(drawn: Path, tmp_path: Path) -> None:
    """Seven pictures by three: pixels are those of `decode`; the damaged and the missing one are told in place."""
    paths = sorted(drawn.rglob("*.jpg"))[:7]
    paths[1] = tmp_path / "damaged.jpg"
    paths[1].write_bytes(paths[0].read_bytes()[:300])
    paths[6] = tmp_path / "missing.jpg"
    found = list(batches(paths, 20, 3))

    assert [batch.positions for batch in found] == [[0, 2], [3, 4, 5], []]
    assert [len(batch) for batch in found] == [3, 3, 1]
    np.testing.assert_array_equal(found[1].images[0], decode(paths[3], 20))
    assert found[2].images.shape == (0, 20, 20, 3)
    assert str(paths[1]) in found[0].unreadable[0]
    assert found[2].unreadable == [f"{paths[6]} cannot be read (No such file or directory)."]


def test_standard_input_is_read_once() -> None:
    """A second - would be empty."""
    with pytest.raises(DataError, match="images=- is given twice, but standard input can be read only once"):
        find_pictures(["-", "-"], io.StringIO("a.jpg\n"))
