"""Looking at every picture of a data set once: its size, what it looks like, and whether it can be read."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowersweep.config.schema import Config
from flowersweep.data import Catalogue, Split, possible_copies
from flowersweep.data.decode import UnreadableError, load
from flowersweep.errors import ConfigError, DataError
from flowersweep.hardware import available_processors
from flowersweep.inspection.near import joined, near_pairs, perceptual_hash
from flowersweep.progress import progress
from flowersweep.texts import counted
from flowersweep.training.dataset import divide

_BATCH = 256  # pictures that are read ahead
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Looks:
    """What every picture of a data set looks like.

    Attributes:
        catalogue: The pictures that can be read.
        widths: int64, shape (n,), in pixels.
        heights: int64, shape (n,), in pixels.
        hashes: uint64, shape (n,): their perceptual hashes.
        contents: A digest of the content of each picture that may be equal to another, by path.
        unreadable: The reason by path for each picture that cannot be read.
        split: The parts of the pictures; None if they cannot be split as configured.
        split_problem: Why they cannot; empty if they can.
    """

    catalogue: Catalogue
    widths: npt.NDArray[np.int64]
    heights: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    contents: Mapping[str, str]
    unreadable: Mapping[str, str]
    split: Split | None
    split_problem: str = ""

    @cached_property
    def parts(self) -> list[str]:
        """The part of each picture; "all" if there is no split."""
        parts = ["all"] * len(self.catalogue)
        for name in PARTS if self.split else ():
            for index in getattr(self.split, name).tolist():
                parts[index] = name
        return parts

    @cached_property
    def identical(self) -> list[tuple[int, ...]]:
        """Groups of pictures with the same bytes."""
        groups: dict[str, list[int]] = {}
        for index, path in enumerate(self.catalogue.paths):
            if path in self.contents:
                groups.setdefault(self.contents[path], []).append(index)
        return [tuple(group) for group in groups.values() if len(group) > 1]

    @cached_property
    def similar(self) -> list[tuple[int, ...]]:
        """Groups of pictures that look alike but do not have the same bytes."""
        copies = {index for group in self.identical for index in group[1:]}
        places = np.array([i for i in range(len(self.catalogue)) if i not in copies], np.int64)
        pairs = near_pairs(self.hashes[places])
        return joined([(int(places[i]), int(places[j])) for i, j in pairs])


def look(config: Config, catalogue: Catalogue, cache: Path) -> Looks:
    """Read every picture, several at a time, with a progress bar.

    Args:
        config: How the pictures are split.
        catalogue: The pictures.
        cache: The cache folder, with the digests of files that are already known.

    Raises:
        DataError: No picture can be read.
    """
    facts: list[tuple[int, int, int]] = []
    kept: list[int] = []
    unreadable: dict[str, str] = {}
    for index, result in enumerate(_seen(catalogue)):
        if isinstance(result, str):
            unreadable[catalogue.paths[index]] = result
        else:
            kept.append(index)
            facts.append(result)
    if not kept:
        raise DataError(f"None of the {counted(len(catalogue), 'picture')} in {catalogue.root} can be read.")
    rest = replace(
        catalogue, paths=tuple(catalogue.paths[index] for index in kept), labels=catalogue.labels[kept]
    )
    split, problem = None, ""
    try:
        split = divide(rest, config.data)
    except (ConfigError, DataError) as error:
        problem = str(error)
    heights, widths, hashes = zip(*facts, strict=True)
    return Looks(
        catalogue=rest,
        widths=np.array(widths, np.int64),
        heights=np.array(heights, np.int64),
        hashes=np.array(hashes, np.uint64),
        contents=possible_copies(rest, cache),
        unreadable=unreadable,
        split=split,
        split_problem=problem,
    )


def _seen(catalogue: Catalogue) -> Iterator[tuple[int, int, int] | str]:
    """Height, width and perceptual hash of each picture, or the reason why it cannot be read."""

    def attempt(path: str) -> tuple[int, int, int] | str:
        try:
            pixels = load(catalogue.root / path)
        except UnreadableError as error:
            return error.reason
        return (*pixels.shape[:2], perceptual_hash(pixels))

    with (
        progress("Looking at pictures", len(catalogue)) as advance,
        ThreadPoolExecutor(available_processors()) as pool,
    ):
        for start in range(0, len(catalogue), _BATCH):
            for result in pool.map(attempt, catalogue.paths[start : start + _BATCH]):
                yield result
                advance(1)
