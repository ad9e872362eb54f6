"""The store of decoded pictures among processes: built once, shared, and whole whoever is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import flowersweep
from flowersweep.cache.atomic import part_of
from flowersweep.cache.verification import Verified, remove_damaged
from flowersweep.data import open_pixel_store, read_folder
from pixel_stores import opened, write_photos

BUILD = """
import logging, sys
from pathlib import Path
from flowersweep.data import fingerprint, open_pixel_store, read_folder
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
cache = Path(sys.argv[2])
catalogue = read_folder(Path(sys.argv[1]))
store = open_pixel_store(catalogue, fingerprint=fingerprint(catalogue, cache), size=int(sys.argv[3]), cache=cache, threads=1)
print("sum", int(store.images[:].sum()))
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures of noise in two classes, each of its own shape."""
    return write_photos(tmp_path / "photos", per_class=6, side=20)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that does not exist yet."""
    return tmp_path / "cache"


def building(photos: Path, cache: Path, size: int = 16) -> "subprocess.Popen[str]":
    """Start a process that opens the store of a folder and prints the sum of its bytes."""
    source = str(Path(flowersweep.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(photos), str(cache), str(size)],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_second_opening_decodes_nothing(photos: Path, cache: Path) -> None:
    """The file is used as it is, even when the pictures are gone by then."""
    catalogue = read_folder(photos)
    first = opened(photos, cache)
    for path in catalogue.paths:
        (photos / path).unlink()
    second = open_pixel_store(catalogue, fingerprint=first.fingerprint, size=16, cache=cache)

    assert second.path == first.path
    assert np.array_equal(second.images, first.images)


def test_two_processes_build_once(tmp_path: Path, cache: Path) -> None:
    """Of two processes that start at the same time one builds and the other gets the same bytes."""
    photos = write_photos(tmp_path / "p", per_class=40, side=200)
    processes = [building(photos, cache), building(photos, cache)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert sum(output.count("Decoding") for output in outputs) == 1
    assert outputs[0].split("sum")[1] == outputs[1].split("sum")[1]


@pytest.mark.slow
def test_killed_in_the_middle(tmp_path: Path, cache: Path) -> None:
    """After SIGKILL half way there is no store, and the next process builds a whole one in its place."""
    photos = write_photos(tmp_path / "p", per_class=150, side=300)
    process = building(photos, cache, size=100)
    deadline = time.monotonic() + 120
    while not any(path.stat().st_size > 300_000 for path in cache.glob("pictures/*.part")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [path.suffix for path in cache.glob("pictures/*") if path.suffix != ".lock"] == [".part"]

    store = opened(photos, cache, 100)
    assert remove_damaged(cache) == Verified(1, [], {})
    assert store.images.shape == (300, 100, 100, 3)
    assert not part_of(store.path).exists()


def test_interrupted_in_the_middle(photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while building leaves nothing half-written."""

    def interrupt(_path: Path, _size: int, _resize: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flowersweep.data.pixels.decode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        opened(photos, cache)

    assert {path.suffix for path in (cache / "pictures").iterdir()} <= {".lock"}
