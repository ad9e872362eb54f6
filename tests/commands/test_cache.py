"""The cache's command: what it lists, checks and removes, and what it leaves alone."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flowersweep.cache.atomic import locked, part_of, write_json
from flowersweep.cache.checkpoints import Checkpoint, checkpoint_path, read_checkpoint, write_checkpoint
from flowersweep.cache.draws import draw_path, open_draw, write_draw
from flowersweep.commands.cache import main, parse_size
from flowersweep.data import fingerprint, read_folder
from flowersweep.data.pixels import PixelStore, open_pixel_store
from flowersweep.errors import ConfigError
from tables_read import broken_words

# Feature banks, and other things, are named by digests.
OLD, NEW = "0" * 32, "1" * 32


@pytest.fixture
def filled(drawn: Path, tmp_path: Path) -> Path:
    """A cache with one thing of every kind and a feature bank of three draws."""
    folder = tmp_path / "filled"
    store_of(drawn, folder)
    for draw in range(3):
        write_features(folder, "b" * 32, draw)
    (folder / "heads").mkdir()
    with (folder / "heads" / f"{OLD}.npz").open("wb") as file:
        np.savez(file, kernel=np.zeros((1280, 5)), bias=np.zeros(5), epochs="[]")
    (folder / "prefixes").mkdir()
    (folder / "prefixes" / f"{OLD}-4.tflite").write_bytes(bytes(1000))
    (folder / "flower_photos").mkdir()
    (folder / "flower_photos" / "a.jpg").write_bytes(bytes(2000))
    (folder / "mine.txt").write_text("not flowersweep's")
    return folder


def store_of(drawn: Path, cache: Path) -> PixelStore:
    """Decode the drawn flowers into a cache."""
    catalogue = read_folder(drawn)
    return open_pixel_store(catalogue, fingerprint=fingerprint(catalogue, cache), size=16, cache=cache)


def write_features(cache: Path, key: str, draw: int, used: float | None = None) -> Path:
    """Write a draw of 6 kB with its bank's key."""
    path = draw_path(cache, key, draw)
    augmentation = {"name": "RandomFlip", "seed": 0}
    about = {"pictures": 6, "image_size": 32, "augmentation": augmentation, "network": "prefix 256"}
    write_json(path.with_name("key.json"), about | {"dtype": "float32", "engine": "litert 2.3.0"})
    write_draw(path, (6, 256), "float32", [np.ones((6, 256), np.float32)])
    if used is not None:
        os.utime(path, (used, used))
    return path


def with_checkpoint(cache: Path) -> Path:
    """Write the state of a training."""
    path = checkpoint_path(cache, OLD)
    write_checkpoint(path, Checkpoint({"epochs": [{}] * 50}, {}))
    return path


def ran(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """Run the command with --json; what it printed."""
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def kinds(items: list[dict[str, Any]]) -> list[str]:
    """The kinds of what was printed but for records, of which young files have fewer."""
    return sorted(item["kind"] for item in items if item["kind"] != "record")


class TestList:
    def test_names_everything(self, filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Every kind is there with its bytes, and nothing that is not flowersweep's."""
        items = ran(capsys, "list", "--cache", str(filled))

        expected = ["data set", "features", "head", "pictures", "prefix"]
        assert kinds(items) == expected
        sizes = {item["kind"]: item["bytes"] for item in items}
        assert sizes["data set"] == 2000
        assert sizes["prefix"] == 1000
        assert sizes["pictures"] > 60 * 16 * 16 * 3
        assert sizes["features"] > 3 * 6 * 256 * 4

    def test_says_what_a_bank_is(self, filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A bank is described by its key's main ingredients."""
        items = ran(capsys, "list", "--cache", str(filled))
        about = next(item["about"] for item in items if item["kind"] == "features")

        assert about == ("3 draws of 6 pictures at 32 pixels, RandomFlip, prefix 256 float32, litert 2.3.0")

    def test_is_the_default_and_a_table(self, filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Without a command there is a table for people."""
        assert main(["--cache", str(filled)]) == 0
        output = capsys.readouterr().out

        assert "last use" in output
        assert "RandomFlip" in output

    @pytest.mark.parametrize("width", ["50", "80", "100", "120"])
    def test_no_word_is_broken(
        self,
        width: str,
        filled: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Sizes, times and descriptions are whole at any width."""
        monkeypatch.setenv("COLUMNS", width)
        assert main(["--cache", str(filled)]) == 0
        expected = {str(filled) + ":", "features", "RandomFlip,", "litert", "0.0", "pixels,"}
        assert broken_words(capsys.readouterr().out, expected) == set()

    def test_of_no_cache_is_empty(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder that is not there holds nothing, and FLOWERSWEEP_CACHE names it as well as the flag."""
        monkeypatch.setenv("FLOWERSWEEP_CACHE", str(tmp_path / "none"))

        assert ran(capsys, "list") == []
        assert not (tmp_path / "none").exists()


class TestVerify:
    def test_of_a_sound_cache_removes_nothing(self, filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Pictures, three draws and a head have checksums, and all are right."""
        found = ran(capsys, "verify", "--cache", str(filled))
        assert found == {"checked": 5, "removed": [], "unread": {}}

    @pytest.mark.parametrize("pattern", ["pictures/*.npy", "features/*/00001.npy", "heads/*.npz"])
    def test_removes_what_is_damaged(
        self, filled: Path, capsys: pytest.CaptureFixture[str], pattern: str
    ) -> None:
        """A flipped bit is found; the file goes, and the exit code says so."""
        path = next(filled.glob(pattern))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

        assert ran(capsys, "verify", "--cache", str(filled), code=1)["removed"] == [str(path)]
        assert not path.exists()

    def test_says_what_cannot_be_read(
        self, filled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is named with the reason, it stays, and the exit code says that something is wrong."""
        path = filled / "heads" / f"{OLD}.npz"

        def failing(_: Path) -> bool:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr("flowersweep.cache.verification.is_whole_archive", failing)
        assert ran(capsys, "verify", "--cache", str(filled), code=1) == {
            "checked": 4,
            "removed": [],
            "unread": {str(path): "Input/output error"},
        }
        assert main(["verify", "--cache", str(filled)]) == 1
        assert f"cannot be read (Input/output error): {path}" in capsys.readouterr().out
        assert path.exists()

    def test_removes_what_was_left_half_written(
        self, filled: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A part that nobody writes any more goes; one that is being written stays."""
        left, live = (draw_path(filled, "b" * 32, draw) for draw in (7, 8))
        part_of(left).write_bytes(b"half")
        with locked(live):
            part_of(live).write_bytes(b"half")
            removed = ran(capsys, "verify", "--cache", str(filled), code=1)["removed"]

        assert removed == [str(part_of(left))]
        assert part_of(live).exists()

    def test_leaves_a_checkpoint_that_is_being_written(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Repairing the cache while a training writes its checkpoint does not take it away."""
        path, removed = checkpoint_path(tmp_path, "c" * 32), []

        def repaired(_: int) -> None:
            removed.extend(ran(capsys, "verify", "--cache", str(tmp_path))["removed"])

        monkeypatch.setattr("flowersweep.cache.checkpoints.os.fsync", repaired)
        write_checkpoint(path, Checkpoint({"epochs": []}, {}))

        assert removed == []
        assert read_checkpoint(path) == Checkpoint({"epochs": []}, {})


class TestPrune:
    def test_removes_the_least_recently_used(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The older bank goes, and its folder with it; the newer one stays whole."""
        for draw in range(2):
            write_features(tmp_path, OLD, draw, used=100)
            write_features(tmp_path, NEW, draw, used=200)
        removed = ran(capsys, "prune", "--cache", str(tmp_path), "--max-size", "14KB")

        assert [Path(item["path"]).relative_to(tmp_path / "features") for item in removed] == [
            Path(OLD, "00001.npy"),
            Path(OLD, "00000.npy"),
        ]
        assert [path.name for path in (tmp_path / "features").iterdir()] == [NEW]

    def test_leaves_what_is_in_use_and_data_sets(
        self, filled: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With no room at all an open draw, the photographs and foreign files are still there."""
        path = draw_path(filled, "b" * 32, 1)
        opened = open_draw(path)
        ran(capsys, "prune", "--cache", str(filled), "--max-size", "0")

        assert opened is not None
        assert [left.stem for left in filled.glob("features/*/*.npy")] == ["00001"]
        assert kinds(ran(capsys, "list", "--cache", str(filled))) == ["data set", "features"]
        assert (filled / "mine.txt").exists()

    def test_leaves_checkpoints(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A training is not recreated in a moment, so its state goes only if it is asked for."""
        path = with_checkpoint(tmp_path)
        assert ran(capsys, "prune", "--cache", str(tmp_path), "--max-size", "0") == []
        assert path.exists()

        removed = ran(capsys, "prune", "--checkpoints", "--cache", str(tmp_path), "--max-size", "0")
        assert kinds(removed) == ["checkpoint"]
        assert not path.exists()

    def test_needs_a_size(self, filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Without --max-size one sentence says so, and nothing is removed."""
        assert main(["prune", "--cache", str(filled)]) == 2
        assert "add --max-size SIZE" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("5GB", 5 * 10**9),
            ("500 MB", 5 * 10**8),
            ("1.5GiB", 1610612736),
            ("10k", 10_000),
            ("7", 7),
            ("0", 0),
            ("9007199254740993", 2**53 + 1),
            ("1" + "0" * 400, 10**400),
        ],
    )
    def test_sizes(self, text: str, size: int) -> None:
        """Decimal and binary units, with and without the B."""
        assert parse_size(text) == size

    @pytest.mark.parametrize("text", ["", "GB", "five", "-1", "1 PB", "1..5GB"])
    def test_other_sizes_are_refused(self, text: str) -> None:
        """What is no size is answered with examples."""
        with pytest.raises(ConfigError, match="like 5GB, 500MB or"):
            parse_size(text)


class TestClear:
    def test_leaves_data_sets(self, filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Everything that can be computed again goes; photographs and foreign files stay."""
        removed = ran(capsys, "clear", "--cache", str(filled))

        assert kinds(removed) == ["features", "head", "pictures", "prefix"]
        assert [item["kind"] for item in ran(capsys, "list", "--cache", str(filled))] == ["data set"]
        assert (filled / "mine.txt").read_text() == "not flowersweep's"

    def test_data_sets_too(self, filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Asked for, they go as well."""
        ran(capsys, "clear", "--data-sets", "--cache", str(filled))

        assert ran(capsys, "list", "--cache", str(filled)) == []
        assert (filled / "mine.txt").exists()

    def test_leaves_checkpoints(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The state of a training stays, with data sets removed as well; asked for, it goes."""
        path = with_checkpoint(tmp_path)
        assert ran(capsys, "clear", "--data-sets", "--cache", str(tmp_path)) == []
        assert path.exists()

        assert kinds(ran(capsys, "clear", "--checkpoints", "--cache", str(tmp_path))) == ["checkpoint"]
        assert not path.exists()

    def test_leaves_an_archive_that_is_being_unpacked(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its lock is that of the folder into which it is unpacked."""
        archive = tmp_path / "flower_photos.tgz"
        archive.write_bytes(b"packed")
        with locked(tmp_path / "flower_photos"):
            assert ran(capsys, "clear", "--data-sets", "--cache", str(tmp_path)) == []
        assert archive.exists()
        assert kinds(ran(capsys, "clear", "--data-sets", "--cache", str(tmp_path))) == ["data set"]

    @pytest.mark.parametrize(
        "command",
        [
            ["verify"],
            ["prune", "--checkpoints", "--max-size", "0"],
            ["clear", "--data-sets", "--checkpoints"],
        ],
    )
    def test_a_wrong_folder_loses_nothing(self, tmp_path: Path, command: list[str]) -> None:
        """What merely lies where flowersweep would keep something stays, files and folders alike."""
        theirs = (
            "pictures/a.npy",
            "features/mine/b.npy",
            "features/c/d.txt",
            "heads/e.npz",
            "prefixes/f.tflite",
            "checkpoints/j.npz",
        )
        more = ("demo-mine/g.txt", "thesis.part", "hashes/h.json", "features/00000.txt", "pictures/i.part")
        for name in (*theirs, *more):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("mine")
        (tmp_path / "features" / "empty").mkdir()
        assert main([*command, "--cache", str(tmp_path), "--json"]) == 0
        assert all((tmp_path / name).read_text() == "mine" for name in (*theirs, *more))
        assert (tmp_path / "features" / "empty").is_dir()

    def test_what_was_cleared_is_made_again(
        self, filled: Path, drawn: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Pictures decoded after clearing are those from before."""
        before = np.array(store_of(drawn, filled).images)
        ran(capsys, "clear", "--cache", str(filled))

        np.testing.assert_array_equal(store_of(drawn, filled).images, before)


def test_help_is_quick_and_for_people() -> None:
    """The help explains the commands without importing TensorFlow."""
    code = "import sys; from flowersweep.commands.cache import main\ntry: main(['--help'])\nexcept SystemExit: print('tensorflow' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert "remove the least recently used items" in output
    assert output.endswith("False\n")
