"""Memory, time and throughput with data sets that are many times as large as flower_photos.

    python benchmarks/large_data.py --times 1 10 100 --folder PATH

makes folders of small synthetic JPEG files (3,670 times the factor, all with different bytes), and prints for each:
listing, hashing, decoding into the store, what a start does when all this was done before, and streaming augmented
batches from the store, in random order. Each step runs in a process of its own, whose highest resident memory is
shown, and above it the memory of a process that has only imported what it needs. Needs about 17 kB of disk per picture
of 64 x 64 pixels (6 GB for 367,000), which are removed afterwards. With --limit-mb, which needs root and memory
cgroups (version 1), the system's page cache counts too, so that the store is larger than the memory.
"""

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PICTURES = 3670
CLASSES = ("daisy", "dandelion", "roses", "sunflowers", "tulips")
STEPS = ("list", "hash", "decode", "start", "stream", "evaluate")
_BATCH = 32
_CGROUPS = Path("/sys/fs/cgroup/memory")
_MINE = Path("/proc/self/cgroup")


def make(folder: Path, count: int, size: int) -> None:
    """Write pictures; they differ in a number after their end, which decoders ignore."""
    import numpy as np
    from PIL import Image

    drawn = np.random.default_rng(0).integers(0, 256, (64, size // 4, size // 4, 3), dtype=np.uint8)
    contents = []
    for pixels in drawn:
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((size, size)).save(buffer, "JPEG")
        contents.append(buffer.getvalue())
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        path = folder / CLASSES[number % len(CLASSES)] / f"{number:07}.jpg"
        path.write_bytes(contents[number % len(contents)] + number.to_bytes(4, "big"))


def step(name: str, folder: Path, cache: Path, size: int, batches: int) -> dict[str, Any]:
    """Do one step in this process; return what was measured."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    work = _prepared(name, folder, cache, size, batches)
    before = _resident_mb()
    began, used = time.perf_counter(), _used()
    count = work()
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "cpu": _used() - used,
        "count": count,
        "mb": max(0.0, _peak_mb() - before),
        "before": before,
    }


def _prepared(name: str, folder: Path, cache: Path, size: int, batches: int) -> Callable[[], int]:
    """What a step does after all it needs was imported; it returns the number of pictures."""
    from flowersweep.data import fingerprint, open_pixel_store, possible_copies, read_folder, split
    from flowersweep.data.notices import picture_notices

    catalogue = None if name in {"list", "start"} else read_folder(folder)

    def begun() -> tuple[Any, Any, Any]:
        found = read_folder(folder)
        store = open_pixel_store(found, fingerprint=fingerprint(found, cache), size=size, cache=cache)
        parts = split(len(found), seed=0, validation=0.2)
        list(picture_notices(found, parts, possible_copies(found, cache)))
        return found, store, parts

    if name == "list":
        return lambda: len(read_folder(folder))
    if name == "start":
        return lambda: len(begun()[0])
    assert catalogue is not None  # noqa: S101 (for the type checker)
    if name == "hash":
        return lambda: bool(fingerprint(catalogue, cache)) * len(catalogue)
    digest = fingerprint(catalogue, cache)
    if name == "decode":
        return lambda: len(open_pixel_store(catalogue, fingerprint=digest, size=size, cache=cache).images)
    return _reading(name, begun(), size, batches)


def _reading(name: str, begun: tuple[Any, Any, Any], size: int, batches: int) -> Callable[[], int]:
    """Reading augmented batches for the complete network, or the labels of an epoch from the same plan."""
    import numpy as np

    from flowersweep.augment.flip import RandomFlip
    from flowersweep.data.stream import evaluation_stream, training_stream
    from flowersweep.training.dataset import PictureSet

    found, store, parts = begun
    train, validation = (
        PictureSet(store.images, part, found.labels[part]) for part in (parts.train, parts.validation)
    )
    if name == "stream":
        stream = training_stream(
            train, RandomFlip(), image_size=size, batch_size=_BATCH, seed=0, epochs=1
        ).take(batches)
    else:
        stream = evaluation_stream(validation).take(batches // 4)
    for _ in stream.take(1):  # builds the graph
        pass

    def read() -> int:
        return sum(len(np.asarray(labels)) for _, labels in stream)

    return read


def _resident_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss / 1e6)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def _limited(megabytes: int | None) -> Iterator[Callable[[], None] | None]:
    """What a process does first so that it has only this much memory, with the pages that the system caches for it."""
    if megabytes is None:
        yield None
        return
    (own,) = (line.split(":")[2] for line in _MINE.read_text().splitlines() if ":memory:" in line)
    group = _CGROUPS / own.strip("/") / f"large-data-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(f"{megabytes}M")

    def join() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))

    try:
        yield join
    finally:
        group.rmdir()


def measured(options: argparse.Namespace, times: int, root: Path) -> None:
    """Make a data set, take all steps, and print a line for each."""
    folder, cache = root / f"pictures-{times}", root / f"cache-{times}"
    count = PICTURES * times
    sys.stdout.write(f"\n{count:,} pictures\n")
    try:
        began = time.perf_counter()
        make(folder, count, options.size)
        sys.stdout.write(f"  {'made':9} {time.perf_counter() - began:8.2f} s\n")
        for name in STEPS:
            command = [
                sys.executable,
                __file__,
                "--step",
                name,
                "--folder",
                str(folder),
                "--cache",
                str(cache),
            ]
            command += ["--size", str(options.size), "--batches", str(options.batches)]
            with _limited(options.limit_mb if name in {"stream", "evaluate"} else None) as join:
                done = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, preexec_fn=join, stderr=subprocess.DEVNULL
                )
            _show(name, json.loads(done.stdout.splitlines()[-1]))
        used = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        sys.stdout.write(f"  {'cache':9} {used / 1e6:8.0f} MB\n")
    finally:
        for path in (folder, cache):
            shutil.rmtree(path, ignore_errors=True)


def _show(name: str, found: dict[str, Any]) -> None:
    rate = found["count"] / found["seconds"]
    sys.stdout.write(
        f"  {name:9} {found['seconds']:8.2f} s ({found['cpu']:.2f} s of processors), {rate:10,.0f} pictures a second, "
        f"{found['mb']:6.0f} MB above {found['before']:.0f}\n"
    )
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or be one step; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10], help="times flower_photos")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in pixels")
    parser.add_argument(
        "--batches", type=int, default=2000, help=f"batches of {_BATCH} that are read at most"
    )
    parser.add_argument("--limit-mb", type=int, help="memory of the processes that read, with the page cache")
    parser.add_argument("--folder", type=Path, help="where pictures and cache are while they are needed")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.step:
        found = step(options.step, options.folder, options.cache, options.size, options.batches)
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    root = Path(tempfile.mkdtemp(prefix="large-", dir=options.folder))
    try:
        for times in options.times:
            measured(options, times, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
