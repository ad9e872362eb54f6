"""Rows of an array in a file: read like those of an array, and never from a file that has changed."""

import errno
import gc
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.cache import rows as module
from flowersweep.cache.draws import open_draw, write_draw
from flowersweep.cache.rows import Rows, open_rows, own_errors
from flowersweep.errors import DataError

SHAPE = (40, 30, 3)


def array() -> npt.NDArray[np.uint8]:
    """Numbers that are all at their own places."""
    return np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)


def opened(path: Path) -> Rows:
    """The array in a file, after ten other bytes."""
    path.write_bytes(bytes(10) + array().tobytes())

    def check(file: FileIO) -> Rows:
        def size(file: FileIO) -> int:
            return os.fstat(file.fileno()).st_size

        return Rows(path, file, offset=10, shape=SHAPE, dtype=np.uint8, state=size)

    rows = open_rows(path, check)
    assert rows is not None
    return rows


@pytest.fixture
def read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is small enough to be kept in memory."""
    monkeypatch.setattr(module, "KEPT_BYTES", 0)


@pytest.mark.usefixtures("read_each_time")
class TestReading:
    @pytest.mark.parametrize(
        "index",
        [
            3,
            -1,
            slice(None),
            slice(5, 9),
            slice(30, 2, -3),
            [7],
            np.empty(0, np.int64),
            np.arange(40) % 3 == 0,
        ],
    )
    def test_every_index_is_as_in_numpy(self, tmp_path: Path, index: Any) -> None:
        """Numbers, slices, lists and masks give the same rows of the same type."""
        read = opened(tmp_path / "x")[index]

        np.testing.assert_array_equal(read, array()[index])
        assert read.dtype == np.uint8

    @given(index=st.lists(st.integers(-40, 39), max_size=60))
    def test_rows_in_any_order(self, tmp_path_factory: pytest.TempPathFactory, index: list[int]) -> None:
        """Also several times, and partly consecutive."""
        wanted = np.array(index, np.int64)
        read = opened(tmp_path_factory.getbasetemp() / "rows")

        np.testing.assert_array_equal(read[wanted], array()[wanted])

    def test_is_an_array_where_one_is_needed(self, tmp_path: Path) -> None:
        """It has a length, can be iterated, and becomes an array."""
        rows = opened(tmp_path / "x")

        assert len(rows) == len(list(rows)) == 40
        np.testing.assert_array_equal(np.asarray(rows), array())


@pytest.mark.usefixtures("read_each_time")
class TestChanges:
    @pytest.mark.parametrize("size", [0, 100, 10 + array().nbytes - 1, 10 + array().nbytes + 1])
    def test_a_file_of_another_size_is_an_error(self, tmp_path: Path, size: int) -> None:
        """A file that is shortened or replaced in place ends no process; the error names it, and is kept."""
        rows = opened(tmp_path / "x")
        os.truncate(tmp_path / "x", size)
        with pytest.raises(DataError, match=f"{tmp_path}/x was changed by another program while") as caught:
            rows[[0, 39]]
        assert rows.failure is caught.value

    @pytest.mark.parametrize("remove", [Path.unlink, lambda path: path.rename(f"{path}.away")])
    def test_a_file_that_is_removed_stays_open(
        self, tmp_path: Path, remove: Callable[[Path], object]
    ) -> None:
        """What was opened is read to the end, even if another file has its name by then."""
        rows = opened(tmp_path / "x")
        remove(tmp_path / "x")
        (tmp_path / "x").write_bytes(b"another")

        np.testing.assert_array_equal(rows[:], array())

    def test_a_draw_that_is_replaced_in_place(self, tmp_path: Path) -> None:
        """Other features of the same size are noticed by their checksum; the use by another process is not a change."""
        path, other = tmp_path / "00000.npy", tmp_path / "00001.npy"
        write_draw(path, SHAPE, "float32", [array()])
        write_draw(other, SHAPE, "float32", [array() + 1])
        features = open_draw(path)
        assert features is not None
        assert open_draw(path) is not None
        assert features[0][0, 0] == array()[0, 0, 0]
        path.write_bytes(other.read_bytes())
        with pytest.raises(DataError, match="was changed"):
            features[0]


def test_small_arrays_are_kept(tmp_path: Path) -> None:
    """They are read once, cannot be changed, and stay what they were whatever happens to the file."""
    rows = opened(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"")

    np.testing.assert_array_equal(rows[:], array())
    with pytest.raises(ValueError, match="read-only"):
        rows[:][0] = 0


@pytest.mark.usefixtures("read_each_time")
def test_the_own_error_is_raised(tmp_path: Path) -> None:
    """What TensorFlow makes of an error of reading is replaced by that error."""
    rows = opened(tmp_path / "x")
    os.truncate(tmp_path / "x", 0)

    def inside_tensorflow() -> None:
        try:
            rows[0]
        except DataError:
            raise RuntimeError("Internal: 2 root error(s) found") from None

    with pytest.raises(DataError, match="was changed"), own_errors(rows, array()):
        inside_tensorflow()


def descriptors() -> set[int]:
    """Those of this process, without the one with which they are listed."""
    return {int(path.name) for path in Path("/proc/self/fd").iterdir() if path.exists()}


@pytest.mark.slow
class TestDescriptor:
    """The descriptor of a file is closed once, whatever happens while it is opened."""

    @pytest.fixture(autouse=True)
    def closed_once(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """A descriptor that is closed twice may by then be that of another file."""
        gc.collect()
        before, closed, real = descriptors(), list[int](), os.close

        def closing(descriptor: int) -> None:
            closed.append(descriptor)
            real(descriptor)

        monkeypatch.setattr(os, "close", closing)
        yield
        gc.collect()
        assert descriptors() == before
        assert len(closed) == 1

    def test_rows_that_are_no_longer_used(self, tmp_path: Path) -> None:
        """It is closed with the rows."""
        assert opened(tmp_path / "file")[3].tolist() == array()[3].tolist()

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        """The rows that have begun do not close it."""
        (tmp_path / "file").write_bytes(bytes(10))

        def check(file: FileIO) -> Rows:
            return Rows(tmp_path / "file", file, offset=10, shape=SHAPE, dtype=np.uint8, state=FileIO.fileno)

        with pytest.raises(DataError):
            open_rows(tmp_path / "file", check)

    def test_an_error_after_the_rows_exist(self, tmp_path: Path) -> None:
        """Of the check, for example."""
        (tmp_path / "file").write_bytes(bytes(10) + array().tobytes())

        def check(file: FileIO) -> Rows:
            rows = Rows(tmp_path / "file", file, offset=10, shape=SHAPE, dtype=np.uint8, state=FileIO.fileno)
            raise OSError(errno.EROFS, str(len(rows)))

        with pytest.raises(OSError, match="40"):
            open_rows(tmp_path / "file", check)
