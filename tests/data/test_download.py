"""Fetching and unpacking, from a real server on this machine, with honest and with evil archives."""

import functools
import hashlib
import http.server
import io
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowersweep.data.download import FLOWER_PHOTOS, Archive, fetch, unpack
from flowersweep.errors import DataError, DownloadError

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; a few paths misbehave."""

    def do_GET(self) -> None:
        """Answer, or misbehave as the path says."""
        if self.path == "/short":  # promises more than it sends
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:1000])
        elif self.path == "/silent":
            time.sleep(1)
        else:
            super().do_GET()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder that the server shows."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served/file").write_bytes(CONTENT)
    return tmp_path / "served"


@pytest.fixture
def url(served: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write a .tgz."""
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """A member of an archive."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    return info


class TestFetch:
    """A file over HTTP."""

    def test_whole(self, url: str, tmp_path: Path) -> None:
        """What arrives whole is stored under its name and nothing else is left."""
        fetch(f"{url}/file", tmp_path / "f", size=len(CONTENT), sha256=SHA256)

        assert (tmp_path / "f").read_bytes() == CONTENT
        assert not (tmp_path / "f.part").exists()

    @pytest.mark.parametrize(
        ("path", "expected", "message"),
        [
            ("file", (len(CONTENT), "0" * 64), f"arrived with the SHA-256 {SHA256}, but 0000"),
            ("file", (len(CONTENT) - 1, SHA256), "sends more than the 1,279,999 bytes expected"),
            ("file", (len(CONTENT) + 1, SHA256), "sent only 1,280,000 of 1,280,001 bytes"),
            ("short", (len(CONTENT), SHA256), "sent only 1,000 of 1,280,000 bytes"),
            ("nothing", (len(CONTENT), SHA256), "the server answered HTTP Error 404: File not found"),
        ],
    )
    def test_anything_else_leaves_nothing(
        self, url: str, tmp_path: Path, path: str, expected: tuple[int, str], message: str
    ) -> None:
        """A wrong hash, a wrong length, a cut line and a refusal are told apart and leave no file."""
        with pytest.raises(DownloadError, match=message):
            fetch(f"{url}/{path}", tmp_path / "f", size=expected[0], sha256=expected[1])

        assert [entry.name for entry in tmp_path.iterdir()] == ["served"]

    def test_no_server(self, tmp_path: Path) -> None:
        """A server that does not exist is an error that names the address."""
        with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/f could not be downloaded: "):
            fetch("http://127.0.0.1:9/f", tmp_path / "f", size=1, sha256=SHA256)

    def test_silent_server(self, url: str, tmp_path: Path) -> None:
        """A server that says nothing is given up after the timeout."""
        with pytest.raises(DownloadError, match="timed out"):
            fetch(f"{url}/silent", tmp_path / "f", size=1, sha256=SHA256, timeout=0.1)

    def test_other_schemes(self, tmp_path: Path) -> None:
        """Addresses of local files are refused."""
        with pytest.raises(DownloadError, match="Only http:// and https://"):
            fetch("file:///etc/hostname", tmp_path / "f", size=1, sha256=SHA256)

    def test_no_room(self, url: str, tmp_path: Path) -> None:
        """A file larger than the disk is not even begun."""
        with pytest.raises(DataError, match=r"MB free\); free some space"):
            fetch(f"{url}/file", tmp_path / "f", size=10**18, sha256=SHA256)


class TestUnpack:
    """Archives, honest and evil."""

    def test_the_one_folder_becomes_the_target(self, tmp_path: Path) -> None:
        """The folder in the archive takes the target's name; files beside it are left out."""
        archive = pack(
            tmp_path / "a.tgz",
            (member("photos", tarfile.DIRTYPE), b""),
            (member("./photos/LICENSE.txt"), b"CC"),
            (member("photos/daisy/1.jpg"), b"picture"),
            (member("README"), b"beside"),
        )
        unpack(archive, tmp_path / "target")

        files = sorted(
            path.relative_to(tmp_path / "target").as_posix() for path in (tmp_path / "target").rglob("*.*")
        )
        assert files == ["LICENSE.txt", "daisy/1.jpg"]
        assert (tmp_path / "target/daisy/1.jpg").read_bytes() == b"picture"

    @pytest.mark.parametrize(
        "evil",
        [
            member("../escaped.jpg"),
            member("photos/../../escaped.jpg"),
            member("/tmp/escaped.jpg"),  # noqa: S108 - an absolute path is what is refused
            member("photos\\..\\escaped.jpg"),
            member("photos/link", tarfile.SYMTYPE, "../../escaped.jpg"),
            member("photos/link", tarfile.SYMTYPE, "1.jpg"),
            member("photos/link", tarfile.LNKTYPE, "photos/1.jpg"),
            member("photos/pipe", tarfile.FIFOTYPE),
            member("photos/device", tarfile.CHRTYPE),
        ],
        ids=lambda info: f"{info.name}-{info.type.decode()}",
    )
    def test_evil_members_are_refused(self, tmp_path: Path, evil: tarfile.TarInfo) -> None:
        """Links, devices and paths that lead outside make the whole archive refused; nothing remains."""
        archive = pack(tmp_path / "a.tgz", (member("photos/1.jpg"), b"picture"), (evil, b""))
        with pytest.raises(DownloadError, match="nothing was unpacked"):
            unpack(archive, tmp_path / "x/target")

        assert [path.name for path in tmp_path.rglob("*")] in (["a.tgz", "x"], ["x", "a.tgz"])

    @pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
    def test_damaged_archives_leave_nothing(self, tmp_path: Path, damage: str) -> None:
        """An archive that is cut, changed, or none at all is an error, and no folder appears."""
        archive = pack(tmp_path / "a.tgz", (member("photos/1.jpg"), hashlib.sha512(b"noise").digest() * 9999))
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 255
        damaged: dict[str, bytes | bytearray] = {
            "cut": content[: len(content) // 3],
            "flipped": content,
            "text": b"404",
            "empty": b"",
        }
        archive.write_bytes(damaged[damage])
        with pytest.raises(DownloadError, match=r"a\.tgz is damaged"):
            unpack(archive, tmp_path / "target")

        assert [path.name for path in tmp_path.iterdir()] == ["a.tgz"]


def test_the_published_archive_is_described() -> None:
    """The counts are those of the study: 3,670 pictures of five classes."""
    assert isinstance(FLOWER_PHOTOS, Archive)
    assert sum(FLOWER_PHOTOS.counts.values()) == 3670
    assert FLOWER_PHOTOS.size == 228_813_984
