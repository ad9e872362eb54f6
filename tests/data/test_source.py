"""Where flower_photos comes from, with a small archive on a real server."""

import functools
import hashlib
import http.server
import logging
import shutil
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from flowersweep.data import FLOWER_PHOTOS, Archive, demo, flower_photos, read_folder
from flowersweep.errors import DataError, DownloadError


@dataclass
class Published:
    """A small archive, where it is served, and how often it was asked for."""

    archive: Archive
    requests: list[str]


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """A server with an archive of two classes with one and two pictures."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("daisy/1.jpg", "roses/1.jpg", "roses/2.jpg", "LICENSE.txt"):
        path = tmp_path / "flower_photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "served").mkdir()
    with tarfile.open(tmp_path / "served/photos.tgz", "w:gz") as archive:
        archive.add(tmp_path / "flower_photos", "flower_photos")
    content = (tmp_path / "served/photos.tgz").read_bytes()
    requests: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments: object) -> None:
            requests.append(self.path)

    handler = functools.partial(Handler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/photos.tgz"
        sha256 = hashlib.sha256(content).hexdigest()
        yield Published(Archive(url, len(content), sha256, {"daisy": 1, "roses": 2}), requests)
        server.shutdown()
        thread.join()


class TestDownload:
    """No directory is given."""

    def test_first_use_downloads_and_later_ones_do_not(self, published: Published, tmp_path: Path) -> None:
        """The archive is fetched once; the cache then holds the pictures and no archive."""
        cache = tmp_path / "cache"
        first = flower_photos(None, cache, archive=published.archive)
        second = flower_photos(None, cache, archive=published.archive)

        assert first == second == cache / "flower_photos"
        assert read_folder(first).paths == ("daisy/1.jpg", "roses/1.jpg", "roses/2.jpg")
        assert len(published.requests) == 1
        assert {path.name for path in cache.iterdir()} <= {"flower_photos", "flower_photos.lock"}

    def test_two_at_once_download_once(self, published: Published, tmp_path: Path) -> None:
        """Of two that need the pictures at the same time one downloads and the other waits."""
        with ThreadPoolExecutor(2) as pool:
            folders = pool.map(
                lambda _: flower_photos(None, tmp_path / "cache", archive=published.archive), range(2)
            )
            assert len(set(folders)) == 1

        assert len(published.requests) == 1

    def test_a_failed_download_names_both_remedies(self, published: Published, tmp_path: Path) -> None:
        """An unreachable archive is an error with both ways out, and leaves nothing."""
        gone = replace(published.archive, url=published.archive.url + ".gone")
        with pytest.raises(DownloadError) as caught:
            flower_photos(None, tmp_path / "cache", archive=gone)

        message = str(caught.value)
        assert "HTTP Error 404" in message
        assert "data.dir=PATH or the environment variable FLOWERSWEEP_DATA" in message
        assert f"download the archive manually from {gone.url} and unpack it so that" in message
        assert {path.name for path in (tmp_path / "cache").iterdir()} <= {"flower_photos.lock"}

    def test_a_wrong_archive_is_not_unpacked(self, published: Published, tmp_path: Path) -> None:
        """An archive with another SHA-256 is thrown away."""
        wrong = replace(published.archive, sha256="0" * 64)
        with pytest.raises(DownloadError, match="arrived with the SHA-256"):
            flower_photos(None, tmp_path / "cache", archive=wrong)

        assert not (tmp_path / "cache/flower_photos").exists()

    def test_an_incomplete_cache_is_refused(self, published: Published, tmp_path: Path) -> None:
        """A picture missing from the cache is an error with the counts, not a smaller data set."""
        folder = flower_photos(None, tmp_path / "cache", archive=published.archive)
        (folder / "roses/1.jpg").unlink()

        with pytest.raises(DataError, match=r"incomplete: it contains {'daisy': 1, 'roses': 1} instead of"):
            flower_photos(None, tmp_path / "cache", archive=published.archive)

    def test_unpacked_by_hand_one_folder_too_deep(self, published: Published, tmp_path: Path) -> None:
        """An archive unpacked inside the folder of its own name is found too."""
        (tmp_path / "cache/flower_photos").mkdir(parents=True)
        (tmp_path / "flower_photos").rename(tmp_path / "cache/flower_photos/flower_photos")

        assert (
            flower_photos(None, tmp_path / "cache", archive=published.archive).parent.name == "flower_photos"
        )
        assert published.requests == []


class TestDirectory:
    """The pictures are on disk already."""

    def test_is_used_as_it_is(self, published: Published, tmp_path: Path) -> None:
        """A given folder is used, from the class folders' level on; the network is left alone."""
        (tmp_path / "outer").mkdir()
        (tmp_path / "flower_photos").rename(tmp_path / "outer/flower_photos")

        folder = flower_photos(tmp_path / "outer", tmp_path / "cache", archive=published.archive)
        assert folder == tmp_path / "outer/flower_photos"
        assert published.requests == []
        assert not (tmp_path / "cache").exists()

    def test_other_counts_are_logged(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A folder that is not the published data set is used, but the log says how it differs."""
        flower_photos(demo(tmp_path, per_class=1), tmp_path)

        assert "is not the published data set: it contains {'daisy': 1," in caplog.text

    def test_missing(self, tmp_path: Path) -> None:
        """A given folder that does not exist is an error, never a reason to download."""
        with pytest.raises(DataError, match="nowhere does not exist"):
            flower_photos(tmp_path / "nowhere", tmp_path)

    @pytest.mark.photos
    def test_real_photographs(
        self, photos_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The real pictures are recognised without a word."""
        with caplog.at_level(logging.WARNING):
            assert flower_photos(photos_dir, tmp_path, archive=FLOWER_PHOTOS) == photos_dir

        assert caplog.text == ""


class TestDemo:
    def test_an_incomplete_folder_is_drawn_anew(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whatever was deleted, all flowers are there again, the same as before."""
        folder = demo(tmp_path, per_class=1)
        before = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
        next(iter(before)).unlink()
        assert demo(tmp_path, per_class=1) == folder
        assert {path: path.read_bytes() for path in folder.rglob("*.jpg")} == before
        shutil.rmtree(folder / "roses")
        assert len(list(demo(tmp_path, per_class=1).rglob("*.jpg"))) == 5
        assert caplog.text.count("is incomplete and will be recreated") == 2
