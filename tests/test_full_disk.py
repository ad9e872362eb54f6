"""Full disks: how they are recognized and named, and what every writer of the cache and every command does on one."""

import errno
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from flowersweep.cache.atomic import locked, new_folder, write_json
from flowersweep.cache.draws import draw_path, write_draw
from flowersweep.cache.heads import Head, write_head
from flowersweep.commands.parsing.arguments import exit_code
from flowersweep.data import fingerprint, open_pixel_store, read_folder, readable
from flowersweep.data.pixels import PixelStore
from flowersweep.deploy.output import draft
from flowersweep.errors import (
    ConfigError,
    DataError,
    NoSpaceError,
    TrackingError,
    disk_of,
    full_disk,
    is_full,
)
from flowersweep.sweep.storage.patience import cause
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.tracking.failure import reason
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import prepare_store
from pixel_stores import opened, write_photos
from small_files import files_of_at_most

DISK = r"the disk at / \([\d,]+ of [\d,]+ MB free\)"


def files(folder: Path) -> list[str]:
    """All files below a folder but locks."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("UNKNOWN: a/b; No space left on device [Op:SaveV2]"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (RuntimeError("something else"), False),
    ],
)
def test_recognized(error: Exception, *, full: bool) -> None:
    """By the number of the system's error, or by its text, which is all that TensorFlow passes on."""
    assert is_full(error) is full


def test_a_disk_is_named_by_where_it_is_mounted() -> None:
    """Also for a path that does not exist yet, and through links."""
    assert re.fullmatch(DISK.replace("/ ", "/proc "), disk_of(Path("/proc/not/there")))
    assert re.fullmatch(DISK.replace("/ ", "/proc "), disk_of(Path("/proc/self")))
    assert "/dev/x cannot be written: no space is left on the disk at /dev" in full_disk(
        OSError(errno.ENOSPC, "No space left on device", "/dev/x")
    )
    assert "device: a file cannot be written, perhaps on the disk at" in full_disk(
        OSError(errno.ENOSPC, "No space left on device")
    )


def folder_of_a_data_set(target: Path) -> None:
    """Write a folder with one large file."""
    with locked(target), new_folder(target) as part:
        (part / "a").write_bytes(bytes(10_000))


WRITERS: dict[str, Callable[[Path], object]] = {
    "json": lambda cache: write_json(cache / "x.json", {"a": "b" * 10_000}),
    "data set": lambda cache: folder_of_a_data_set(cache / "demo"),
    "draw": lambda cache: write_draw(
        draw_path(cache, "", 0), (9, 1000), "float32", [np.zeros((3, 1000))] * 3
    ),
    "head": lambda cache: write_head(
        cache / "x.npz", Head([np.zeros((99, 99), np.float32)] * 2, [], reused=False)
    ),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_writer_leaves_no_half_file(tmp_path: Path, kind: str) -> None:
    """On a full disk each names the file, the disk and what to free; what was written is removed."""
    (tmp_path / "features").mkdir()
    with files_of_at_most(5_000), pytest.raises(NoSpaceError) as caught:
        WRITERS[kind](tmp_path)

    assert re.search(
        r"cannot be written: File too large on the disk at .* MB free\); free some space there \(`python -m flowersweep "
        r"cache prune --max-size 5GB` removes .*FLOWERSWEEP_CACHE\.$",
        str(caught.value),
    )
    assert files(tmp_path) == []
    WRITERS[kind](tmp_path)
    assert len(files(tmp_path)) == 1


class TestPictures:
    @pytest.fixture
    def photos(self, tmp_path: Path) -> Path:
        """Twelve pictures of noise in two classes."""
        return write_photos(tmp_path / "photos", per_class=6, side=20)

    def test_are_decoded_into_memory(
        self, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Without space for the decoded pictures a run goes on, and says so in one line."""
        with files_of_at_most(5_000):
            store = opened(photos, tmp_path / "full")

        assert not store.path.exists()
        assert not [name for name in files(tmp_path / "full") if name.endswith((".npy", ".part"))]
        np.testing.assert_array_equal(store.images, opened(photos, tmp_path / "other").images)
        (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert "The pictures are decoded into memory, and again by every run." in line
        assert "\n" not in line
        assert opened(photos, tmp_path / "full").path.exists()

    def test_without_memory_either(
        self, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What fits neither on the disk nor into half of the free memory is an error before the work."""
        monkeypatch.delattr("flowersweep.data.pixels.decode")
        with pytest.raises(NoSpaceError, match=r"needs [\d,]+ MB on the disk at .* MB free\); free some"):
            opened(photos, tmp_path / "cache", size=10_000_000)

    def test_nothing_can_be_stored(
        self, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Without space for a single byte the pictures are hashed, checked and decoded all the same."""
        cache = tmp_path / "cache"
        catalogue = read_folder(photos)
        os.utime(photos / "a/0.jpg")
        with files_of_at_most(0):
            digest = fingerprint(catalogue, cache)
            assert readable(catalogue, fingerprint=digest, cache=cache) is catalogue
            store = open_pixel_store(catalogue, fingerprint=digest, size=16, cache=cache)
        assert files(cache) == []
        assert store.images.shape == (12, 16, 16, 3)
        assert "The pictures are checked again next time." in caplog.text


class TestChangedMeanwhile:
    @pytest.mark.parametrize("change", ["replaced", "removed"])
    def test_pictures_are_stored_under_no_wrong_name(self, tmp_path: Path, change: str) -> None:
        """What was changed between taking the fingerprint and decoding is an error; nothing is stored or noted."""
        photos, cache = write_photos(tmp_path / "photos", per_class=3, side=20), tmp_path / "cache"
        catalogue = read_folder(photos)
        digest = fingerprint(catalogue, cache)
        content = (photos / "a/0.jpg").read_bytes()
        (photos / "a/0.jpg").unlink()
        if change == "replaced":
            (photos / "a/0.jpg").write_bytes((photos / "b/0.jpg").read_bytes())

        def build() -> PixelStore:
            return open_pixel_store(catalogue, fingerprint=digest, size=16, cache=cache)

        for use in (build, lambda: readable(catalogue, fingerprint=digest, cache=cache)):
            with pytest.raises(
                DataError, match=f"The pictures in {photos} were changed while they were read"
            ):
                use()
        assert not [name for name in files(cache) if digest in name]
        (photos / "a/0.jpg").write_bytes(content)
        assert build().path.exists()


def error_of_a_full_database() -> sqlite3.Error:
    """What SQLite raises when its file cannot grow."""
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count=1")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("CREATE TABLE a (b)")
    return caught.value


class TestDatabases:
    def test_the_storage_of_a_study(self, tmp_path: Path) -> None:
        """The reason names the disk of the file that cannot grow; that of a lock or a server does not."""
        full = error_of_a_full_database()
        open_storage(None, tmp_path)
        assert re.fullmatch(rf"database or disk is full, {DISK}", cause(full))
        assert cause(sqlite3.OperationalError("database is locked")) == "database is locked"

    def test_the_tracking_store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same for the runs; a server's disk is not known here."""
        full = MlflowException(f"(sqlite3.OperationalError) {error_of_a_full_database()}")
        monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: f"sqlite:///{tmp_path}/mlflow.db")
        assert re.fullmatch(rf"database or disk is full, {DISK}", reason(full))
        monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "http://127.0.0.1:1")
        assert reason(full) == "database or disk is full"

    def test_the_folder_of_temporary_files(self, tmp_path: Path) -> None:
        """It is named with its disk, and with the setting that chooses another one."""

        def full(_path: Path) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        run = MLflowTracker.start(prepare_store(tmp_path), "flowers", "run")
        with pytest.raises(TrackingError) as raised:
            run.figure(SimpleNamespace(savefig=full), "curves.png")  # type: ignore[arg-type] # it has all that is used
        assert re.search(r"No space left on device: '\S+/flowersweep-\w+'", str(raised.value))
        assert re.search(
            rf"{DISK}; free some space, or choose another folder with TMPDIR=DIR\.$", str(raised.value)
        )


class TestCommands:
    def test_an_output_is_whole_or_absent(self, tmp_path: Path) -> None:
        """A full disk is told with the name of the output; an older one stays."""
        (tmp_path / "a.csv").write_text("old")
        with (
            files_of_at_most(1_000),
            pytest.raises(ConfigError, match=r"output=.*a\.csv cannot be written: no"),
            draft(tmp_path / "a.csv", overwrite=True) as part,
        ):
            part.write_bytes(bytes(2_000))

        assert files(tmp_path) == ["a.csv"]
        assert (tmp_path / "a.csv").read_text() == "old"

    def test_any_other_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What no writer has put into words is one sentence, and the exit code 1."""

        def action() -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/dev/full")

        assert exit_code(action) == 1
        error = capsys.readouterr().err
        assert error.startswith(
            "flowersweep: /dev/full cannot be written: no space is left on the disk at /dev"
        )
        assert error.count("\n") == 1

    def test_standard_output(self) -> None:
        """A table that is redirected to a full disk ends in one sentence."""
        with Path("/dev/full").open("w") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "flowersweep", "cache", "list"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1
        assert ended.stderr.startswith("flowersweep: No space left on device: a file cannot be written, ")
