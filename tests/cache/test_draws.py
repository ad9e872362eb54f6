"""Files of features: whole or not taken, and evicted in the right order."""

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pytest

from flowersweep.cache.atomic import part_of
from flowersweep.cache.draws import (
    draw_path,
    draw_size,
    draws,
    is_whole,
    make_room,
    open_draw,
    remove_draw,
    stored,
    write_draw,
)
from flowersweep.errors import ConfigError, DataError, infrastructure_failure

SHAPE = (6, 2, 5)

# Writes a draw in two chunks and waits between them for a signal that never comes.
WRITE_HALF = """
import sys, time
from pathlib import Path
import numpy as np
from flowersweep.cache.draws import write_draw
def chunks():
    yield np.ones((3, 2, 5), np.float32)
    print("half", flush=True)
    time.sleep(60)
write_draw(Path(sys.argv[1]), (6, 2, 5), "float16", chunks())
"""

# Keeps a draw open until its standard input ends.
HOLD = """
import sys
from pathlib import Path
from flowersweep.cache.draws import open_draw
features = open_draw(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def values() -> npt.NDArray[np.float32]:
    """Features of six pictures."""
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def written(cache: Path, key: str = "bank", draw: int = 0, used: float | None = None) -> Path:
    """Write a draw, last used at a given time."""
    path = draw_path(cache, key, draw)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_draw(path, SHAPE, "float32", [values()])
    if used is not None:
        os.utime(path, (used, used))
    return path


def names(cache: Path) -> list[str]:
    """Bank and number of the draws that are there."""
    return sorted(f"{draw.path.parent.name}/{draw.path.stem}" for draw in draws(cache))


class TestWhole:
    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    @pytest.mark.parametrize("cuts", [[], [1], [2, 5]])
    def test_comes_back(self, tmp_path: Path, dtype: str, cuts: list[int]) -> None:
        """Written in any chunks, it comes back with its shape and type; NumPy can read it too."""
        path = tmp_path / "00000.npy"
        write_draw(path, SHAPE, dtype, np.split(values(), cuts))
        features = open_draw(path)

        assert features is not None
        assert features.dtype == dtype
        np.testing.assert_array_equal(features, values().astype(dtype))
        np.testing.assert_array_equal(np.load(path), features)
        assert draw_size(SHAPE, dtype) == features[:].nbytes
        assert not part_of(path).exists()

    def test_absent_is_none(self, tmp_path: Path) -> None:
        """Where there is no file there are no features, and no warning."""
        assert open_draw(tmp_path / "00000.npy") is None

    @pytest.mark.parametrize("place", [0, 7, 100, 130, 300, -13, -12, -1])
    def test_one_flipped_bit_is_seen(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: int
    ) -> None:
        """A bit flipped in header, features, mark or checksum makes the file damaged, which is logged."""
        path = written(tmp_path)
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)

        assert open_draw(path) is None
        assert not is_whole(path)
        assert "is damaged and will be computed again" in caplog.text

    @pytest.mark.parametrize("kept", [0, 5, 12, 13, 130, 200, -1])
    def test_a_truncated_file_is_seen(self, tmp_path: Path, kept: int) -> None:
        """A file of any shorter length is damaged."""
        path = written(tmp_path)
        path.write_bytes(path.read_bytes()[:kept])

        assert open_draw(path) is None

    def test_bytes_behind_the_end_are_seen(self, tmp_path: Path) -> None:
        """A file that grew is damaged."""
        path = written(tmp_path)
        path.write_bytes(path.read_bytes() + b"\0")

        assert open_draw(path) is None

    @pytest.mark.parametrize("number", [errno.EROFS, errno.ENOENT])
    def test_a_use_that_cannot_be_recorded(
        self, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A draw of a read-only cache is used, and so is one that is being removed: it is open."""
        path = written(tmp_path)

        def failing(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("flowersweep.cache.draws.os.utime", failing)
        opened = open_draw(path)

        assert opened is not None
        np.testing.assert_array_equal(opened[:], values())

    def test_killed_in_the_middle_leaves_nothing_that_is_taken_for_whole(self, tmp_path: Path) -> None:
        """After SIGKILL there is only the part, which the next writer overwrites."""
        path = tmp_path / "00000.npy"
        process = subprocess.Popen([sys.executable, "-c", WRITE_HALF, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()

        assert part_of(path).exists()
        assert open_draw(path) is None
        write_draw(path, SHAPE, "float32", [values()])
        assert open_draw(path) is not None
        assert not part_of(path).exists()

    def test_an_error_while_computing_leaves_nothing(self, tmp_path: Path) -> None:
        """What fails half way is removed."""
        path = tmp_path / "00000.npy"
        with pytest.raises(ZeroDivisionError):
            write_draw(path, SHAPE, "float32", (values() / (1 // 0) for _ in range(1)))

        assert list(tmp_path.iterdir()) == []

    def test_a_full_disk_is_said_in_one_sentence(self, tmp_path: Path) -> None:
        """A draw larger than what is free is refused before the work, with its size and what to do."""
        with pytest.raises(DataError, match=r"needs [\d,]+ MB on the disk at .* MB free\); free some space"):
            write_draw(tmp_path / "00000.npy", (10**6, 10**6, 100), "float32", [])


class TestRoom:
    def test_the_bank_unused_for_longest_goes_first(self, tmp_path: Path) -> None:
        """Room is made from the oldest bank; the most recently used one stays."""
        size = written(tmp_path, "old", 0, used=100).stat().st_size
        written(tmp_path, "older", 0, used=50)
        written(tmp_path, "new", 0, used=200)
        make_room(tmp_path, size, 2 * size)

        assert names(tmp_path) == ["new/00000"]

    def test_opening_counts_as_use(self, tmp_path: Path) -> None:
        """A bank that was opened just now outlives one that was written later."""
        opened = written(tmp_path, "opened", 0, used=50)
        size = written(tmp_path, "written", 0, used=100).stat().st_size
        open_draw(opened)
        make_room(tmp_path, size, 2 * size)

        assert names(tmp_path) == ["opened/00000"]

    def test_of_one_bank_the_last_epochs_go_first(self, tmp_path: Path) -> None:
        """Training begins with epoch 0 again: evicting the epochs in turn would evict what is needed next."""
        for draw in range(5):
            size = written(tmp_path, "bank", draw, used=draw + 1).stat().st_size
        make_room(tmp_path, size, 4 * size)

        assert names(tmp_path) == ["bank/00000", "bank/00001", "bank/00002"]

    def test_nothing_goes_while_there_is_room(self, tmp_path: Path) -> None:
        """Exactly at the limit nothing is evicted."""
        size = written(tmp_path).stat().st_size

        assert make_room(tmp_path, size, 2 * size) == []
        assert names(tmp_path) == ["bank/00000"]

    def test_what_is_in_use_stays(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A draw that is open here is passed over; the excess is logged."""
        path = written(tmp_path, used=1)
        opened = open_draw(path)
        assert opened is not None
        with caplog.at_level(logging.WARNING):
            make_room(tmp_path, 10, 20)

        assert path.exists()
        assert "more than the limit" in caplog.text
        np.testing.assert_array_equal(opened[2:], values()[2:])
        del opened
        make_room(tmp_path, 10, 20)
        assert not path.exists()

    def test_what_another_process_uses_stays(self, tmp_path: Path) -> None:
        """A draw mapped by another process cannot be removed until that process ends."""
        path = written(tmp_path)
        command = [sys.executable, "-c", HOLD, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"

        assert not remove_draw(path)
        process.communicate()
        assert remove_draw(path)

    def test_more_than_the_limit_is_refused(self, tmp_path: Path) -> None:
        """A single draw beyond the limit is an error of the configuration: a sweep does not wait until it fits."""
        with pytest.raises(
            ConfigError, match=r"take 2\.0 MB, but bank\.max_gigabytes=0\.001 allows 1\.0 MB; raise it"
        ) as caught:
            make_room(tmp_path, 2_000_000, 1_000_000)
        assert infrastructure_failure(caught.value) is None


def test_what_float16_cannot_hold_is_refused() -> None:
    """As an error of the configuration, for the same reason."""
    large = np.array([[1.0, 70000.0]], np.float32)
    with pytest.raises(
        ConfigError,
        match=r"reach 7e\+04, but the largest float16 is 65504; store them with bank\.dtype=float32",
    ) as caught:
        stored(large, "float16")
    assert infrastructure_failure(caught.value) is None
    assert stored(large, "float32").tolist() == large.tolist()


def test_what_is_in_use_stays_on_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS locks a file exclusively only if it is open for writing."""
    real = fcntl.flock

    def as_on_nfs(file: IO[bytes], kind: int) -> None:
        if kind & fcntl.LOCK_EX and fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        real(file, kind)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)
    path = written(tmp_path)
    opened = open_draw(path)

    assert opened is not None
    assert not remove_draw(path)
    assert path.exists()
    del opened
    assert remove_draw(path)
