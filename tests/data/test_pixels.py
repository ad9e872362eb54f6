"""The store of decoded pictures: what it holds, how damage is noticed, and what unreadable pictures do."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from flowersweep.cache.contents import contents
from flowersweep.cache.verification import Verified, remove_damaged
from flowersweep.data import (
    Catalogue,
    decode,
    fingerprint,
    open_pixel_store,
    read_folder,
    readable,
)
from flowersweep.data.catalogue import read_parts
from flowersweep.errors import DataError
from pixel_stores import opened, write_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures of noise in two classes, each of its own shape."""
    return write_photos(tmp_path / "photos", per_class=6, side=20)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that does not exist yet."""
    return tmp_path / "cache"


class TestContents:
    """What a store holds."""

    def test_pictures_are_those_that_decode_returns(self, photos: Path, cache: Path) -> None:
        """Row i is picture i of the catalogue, decoded at the size."""
        store = opened(photos, cache)
        catalogue = read_folder(photos)

        assert store.images.shape == (12, 16, 16, 3)
        assert store.images.dtype == np.uint8
        assert all(
            np.array_equal(image, decode(catalogue.root / path, 16))
            for image, path in zip(store.images, catalogue.paths, strict=True)
        )

    def test_is_read_only(self, photos: Path, cache: Path) -> None:
        """No run can change the pictures of another."""
        with pytest.raises(ValueError, match="read-only"):
            opened(photos, cache).images[:][0] = 0

    @pytest.mark.parametrize("resizing", ["crop", "pad"])
    def test_each_way_to_a_square_has_a_file_of_its_own(
        self, photos: Path, cache: Path, resizing: str
    ) -> None:
        """Which holds what `decode` returns for it, and is listed with it."""
        stretched, catalogue = opened(photos, cache), read_folder(photos)
        store = open_pixel_store(
            catalogue, fingerprint=stretched.fingerprint, size=16, cache=cache, resizing=resizing
        )
        assert store.path.name == f"{store.fingerprint}-16-{resizing}-v2.npy"
        assert not np.array_equal(store.images[1], stretched.images[1])
        for image, path in zip(store.images, catalogue.paths, strict=True):
            assert np.array_equal(image, decode(catalogue.root / path, 16, resizing))
        told = [item.about for item in contents(cache) if item.kind == "pictures"]
        assert sorted(one.partition("decoded ")[2] for one in told) == [
            "at 16 pixels",
            f"at 16 pixels, {resizing}",
        ]

    def test_sizes_have_files_of_their_own(self, photos: Path, cache: Path) -> None:
        """Two sizes lie side by side, and a name tells which pictures and size it holds."""
        small, large = opened(photos, cache, 8), opened(photos, cache, 24)

        assert (small.images.shape[1], large.images.shape[1]) == (8, 24)
        assert small.path.name == f"{small.fingerprint}-8-v2.npy"
        assert small.path != large.path

    def test_a_picture_that_has_the_size_already(self, tmp_path: Path, cache: Path) -> None:
        """Pictures that need no resizing are stored as they are."""
        store = opened(write_photos(tmp_path / "p", per_class=1, side=16), cache)

        assert np.array_equal(store.images[0], decode(tmp_path / "p/a/0.jpg", 16))

    def test_impossible_size(self, photos: Path, cache: Path) -> None:
        """A size below one pixel is refused."""
        with pytest.raises(DataError, match="size is 0"):
            opened(photos, cache, 0)


class TestDamage:
    """Files that are not what was written."""

    @pytest.mark.parametrize("damage", ["cut", "longer", "header", "note", "no note", "other count"])
    def test_is_noticed_and_built_anew(
        self, photos: Path, cache: Path, caplog: pytest.LogCaptureFixture, damage: str
    ) -> None:
        """A wrong length, header or note is noticed at opening; the log says what happens."""
        store = opened(photos, cache)
        content, note = store.path.read_bytes(), store.path.with_suffix(".json")
        match damage:
            case "cut":
                store.path.write_bytes(content[:-1])
            case "longer":
                store.path.write_bytes(content + b"x")
            case "header":
                store.path.write_bytes(b"x" + content[1:])
            case "note":
                note.write_text("{")
            case "no note":
                note.unlink()
            case "other count":
                store.path.write_bytes(content.replace(b"(12,", b"(11,"))

        again = opened(photos, cache)
        assert again.path.read_bytes() == content
        assert "is damaged and will be recreated" in caplog.text

    @pytest.mark.slow
    def test_no_random_header_is_an_error_or_another_picture(self, photos: Path, cache: Path) -> None:
        """Whatever stands where the header was, and in the note: the pictures are decoded anew, never misread."""
        before = opened(photos, cache)
        images, whole = np.array(before.images), before.path.read_bytes()
        note, chance = before.path.with_suffix(".json"), np.random.default_rng(1)
        del before
        for damage in range(60):
            place = damage * 2
            content = whole[:place] + chance.bytes(1 + damage % 9) + whole[place + 1 + damage % 9 :]
            next(cache.glob("pictures/*.npy")).write_bytes(content)
            np.testing.assert_array_equal(opened(photos, cache).images, images)
        for length in range(0, note.stat().st_size, 5):
            note.write_bytes(note.read_bytes()[:length])
            np.testing.assert_array_equal(opened(photos, cache).images, images)

    def test_a_changed_byte_is_found_by_the_checksum(self, photos: Path, cache: Path) -> None:
        """A single changed pixel passes opening but not the cache's check, which removes the file; it is built anew."""
        store = opened(photos, cache)
        assert remove_damaged(cache) == Verified(1, [], {})
        content = bytearray(store.path.read_bytes())
        content[-1] ^= 1
        store.path.write_bytes(content)

        opened(photos, cache)
        assert remove_damaged(cache) == Verified(1, [store.path], {})
        opened(photos, cache)
        assert remove_damaged(cache) == Verified(1, [], {})

    def test_a_deleted_file_is_built_anew(self, photos: Path, cache: Path) -> None:
        """The next opening decodes the pictures again."""
        opened(photos, cache).path.unlink()
        opened(photos, cache)

        assert remove_damaged(cache) == Verified(1, [], {})

    def test_the_note_is_json(self, photos: Path, cache: Path) -> None:
        """The note holds the length and the SHA-256."""
        store = opened(photos, cache)
        note = json.loads(store.path.with_suffix(".json").read_text())

        assert note["bytes"] == store.path.stat().st_size
        assert len(note["sha256"]) == 64


class TestUnreadable:
    """Pictures that cannot be read, refused or skipped."""

    @staticmethod
    def spoil(photos: Path) -> Catalogue:
        """Make three of twelve pictures unreadable, each in its own way."""
        (photos / "a/1.jpg").write_bytes(b"")
        (photos / "b/0.jpg").write_text("no picture")
        (photos / "b/5.jpg").write_bytes((photos / "b/5.jpg").read_bytes()[:-40])
        return read_folder(photos)

    def test_all_are_listed(self, photos: Path, cache: Path) -> None:
        """The error names every unreadable picture with its reason, and nothing is written."""
        self.spoil(photos)
        with pytest.raises(DataError) as caught:
            opened(photos, cache)

        lines = str(caught.value).splitlines()
        assert lines[0].startswith(
            f"3 pictures in {photos} cannot be read; delete or repair the listed pictures, or"
        )
        assert "data.unreadable=skip" in lines[0]
        assert lines[1] == "  a/1.jpg is empty (0 bytes)"
        assert lines[2].startswith("  b/0.jpg is not a picture")
        assert lines[3].startswith("  b/5.jpg is damaged (")
        assert {path.suffix for path in (cache / "pictures").iterdir()} <= {".lock"}

    def test_many_are_counted(self, tmp_path: Path, cache: Path) -> None:
        """Ten are named, the others counted."""
        photos = write_photos(tmp_path / "p", per_class=8, side=8)
        for path in photos.glob("*/*.jpg"):
            path.write_text("no picture")
        with pytest.raises(DataError, match=r"^16 pictures") as caught:
            opened(photos, cache)

        assert len(str(caught.value).splitlines()) == 12
        assert str(caught.value).endswith("\n  and 6 more")

    def test_skipping_leaves_them_out(
        self, photos: Path, cache: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """`readable` drops exactly the unreadable ones, names them in the log, and the rest can be opened."""
        catalogue = self.spoil(photos)
        kept = readable(catalogue, fingerprint=fingerprint(catalogue, cache), cache=cache)

        assert set(catalogue.paths) - set(kept.paths) == {"a/1.jpg", "b/0.jpg", "b/5.jpg"}
        assert kept.labels.tolist() == [0] * 5 + [1] * 4
        assert "Left out: a/1.jpg is empty (0 bytes)." in caplog.text
        store = open_pixel_store(kept, fingerprint=fingerprint(kept, cache), size=8, cache=cache)
        assert store.images.shape == (9, 8, 8, 3)

    def test_skipping_remembers(self, photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The pictures are checked once: by `readable` or by an `open_pixel_store` that failed."""
        catalogue = self.spoil(photos)
        digest = fingerprint(catalogue, cache)
        with pytest.raises(DataError):
            opened(photos, cache)
        monkeypatch.delattr("flowersweep.data.pixels.load")

        assert len(readable(catalogue, fingerprint=digest, cache=cache)) == 9

    @pytest.mark.parametrize("first", ["readable", "open_pixel_store"])
    def test_an_error_of_the_disk_leaves_a_picture_out_only_once(
        self, first: str, photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A picture that can be read again belongs to the data set again, whoever found it unreadable."""
        catalogue = read_folder(photos)
        digest = fingerprint(catalogue, cache)
        real = Path.read_bytes

        def failing(path: Path) -> bytes:
            if path == photos / "a/3.jpg":
                raise OSError(errno.EIO, "Input/output error")
            return real(path)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", failing)
            if first == "readable":
                kept = readable(catalogue, fingerprint=digest, cache=cache)
                assert set(catalogue.paths) - set(kept.paths) == {"a/3.jpg"}
            else:
                with pytest.raises(DataError, match=r"a/3\.jpg cannot be read \(Input/output error\)"):
                    opened(photos, cache)

        assert readable(catalogue, fingerprint=digest, cache=cache) is catalogue

    def test_whole_pictures_stay(self, photos: Path, cache: Path) -> None:
        """Where all can be read the catalogue comes back as it was."""
        catalogue = read_folder(photos)

        assert readable(catalogue, fingerprint=fingerprint(catalogue, cache), cache=cache) is catalogue

    @pytest.mark.parametrize("parts", [(".",), ("train", "val")])
    def test_a_class_without_readable_pictures(
        self, parts: tuple[str, ...], tmp_path: Path, cache: Path
    ) -> None:
        """If skipping empties a class, that is an error that names it, and no folder that does not exist."""
        root = tmp_path / "divided"
        for part in parts:
            for path in (write_photos(root / part, per_class=2, side=8) / "b").iterdir():
                path.write_bytes(b"")
        catalogue = read_folder(root) if len(parts) == 1 else read_parts(root)
        with pytest.raises(DataError, match=f"None of the pictures of class b in {root} can be read"):
            readable(catalogue, fingerprint=fingerprint(catalogue, cache), cache=cache)


def test_a_cache_that_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    """A file where the cache folder should be is an error that names the setting."""
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match=r"choose another cache folder with paths\.cache=PATH"):
        opened(photos, tmp_path / "cache")


@pytest.mark.photos
@pytest.mark.slow
def test_real_photographs(photos_dir: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 3,670 photographs are decoded once; opened again, none is."""
    catalogue = read_folder(photos_dir)
    digest = fingerprint(catalogue, cache)
    store = open_pixel_store(catalogue, fingerprint=digest, size=180, cache=cache)
    monkeypatch.setattr(
        "flowersweep.data.pixels.decode", lambda path, _size: pytest.fail(f"{path} is decoded again")
    )
    open_pixel_store(catalogue, fingerprint=digest, size=180, cache=cache)

    assert store.images.shape == (3670, 180, 180, 3)
    assert remove_damaged(cache) == Verified(1, [], {})
