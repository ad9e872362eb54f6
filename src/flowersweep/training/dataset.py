"""Find, divide and decode the pictures a run needs; everything here happens before TensorFlow is imported."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowersweep.config import cache_dir
from flowersweep.config.schema import Config, DataConfig
from flowersweep.data import (
    Catalogue,
    Split,
    demo,
    fingerprint,
    flower_photos,
    open_pixel_store,
    read_folder,
    readable,
    split,
)
from flowersweep.errors import DataError
from flowersweep.texts import expanded

log = logging.getLogger(__name__)

# The list of a configuration's pictures, and their fingerprint.
Found = tuple[Catalogue, str]


@dataclass(frozen=True)
class PictureSet:
    """One part of the data, decoded.

    Attributes:
        images: Memory-mapped uint8, shape (n, size, size, 3), all pictures of the catalogue.
        indices: int64, shape (m,): which of them belong to this part.
        labels: int32, shape (m,): their classes.
    """

    images: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class Pictures:
    """All that a run needs to know about its data."""

    catalogue: Catalogue
    split: Split
    fingerprint: str
    train: PictureSet
    validation: PictureSet
    test: PictureSet | None


def load_pictures(config: Config, expected: str | None = None) -> Pictures:
    """Open the data set of a configuration.

    Training pictures are decoded at the size the augmentation wants (RandomCrop wants larger ones), validation
    and test pictures always at `trainer.image_size`, so that every augmentation is evaluated on the same pixels.

    Args:
        config: The configuration.
        expected: The fingerprint that `find_pictures` must give; None for any.

    Raises:
        DataError: The pictures are missing, unreadable or others; the message says how to fix it.
        ConfigError: They are too few for the fractions of the split.
    """
    cache = cache_dir(config.paths.cache)
    found = find_pictures(config)
    if expected not in {None, found[1]}:
        raise DataError(
            f"The pictures in {found[0].root} are no longer those that the sweep began with; put those back, or begin "
            "another sweep with these."
        )
    catalogue, digest, parts = divided(config, found)
    size = config.trainer.image_size
    evaluation = open_pixel_store(catalogue, fingerprint=digest, size=size, cache=cache)
    source_size = config.aug.source_size(size)
    training = (
        evaluation
        if source_size == size
        else open_pixel_store(catalogue, fingerprint=digest, size=source_size, cache=cache)
    )
    labels = catalogue.labels
    return Pictures(
        catalogue=catalogue,
        split=parts,
        fingerprint=digest,
        train=PictureSet(training.images, parts.train, labels[parts.train]),
        validation=PictureSet(evaluation.images, parts.validation, labels[parts.validation]),
        test=PictureSet(evaluation.images, parts.test, labels[parts.test]) if len(parts.test) else None,
    )


def find_pictures(config: Config) -> Found:
    """The list of a configuration's pictures and their fingerprint; decodes none, and leaves out none.

    Raises:
        DataError: There are none.
    """
    cache = cache_dir(config.paths.cache)
    catalogue = read_folder(_folder(config.data, cache))
    return catalogue, fingerprint(catalogue, cache)


def divided(config: Config, found: Found | None = None) -> tuple[Catalogue, str, Split]:
    """The pictures of a configuration, their fingerprint, and which of them train, validate and test.

    Decodes none of them, unless unreadable ones are to be left out and it is not known yet which these are.

    Args:
        config: The configuration.
        found: From `find_pictures`, if it was asked already; it says in the log what it finds.

    Raises:
        DataError: As `load_pictures`.
    """
    found = found or find_pictures(config)
    if config.data.unreadable == "skip":
        found = without_unreadable(found, cache_dir(config.paths.cache))
    catalogue, digest = found
    return catalogue, digest, divide(catalogue, config.data)


def without_unreadable(found: Found, cache: Path) -> Found:
    """Pictures without those that cannot be read, and the fingerprint of the rest."""
    catalogue, digest = found
    rest = readable(catalogue, cache=cache, fingerprint=digest)
    return rest, fingerprint(rest, cache)


def divide(catalogue: Catalogue, data: DataConfig) -> Split:
    """Which pictures train, validate and test."""
    return split(len(catalogue), seed=data.split_seed, validation=data.validation_split, test=data.test_split)


def _folder(data: DataConfig, cache: Path) -> Path:
    directory = expanded(data.dir).absolute() if data.dir else None
    if data.source == "demo":
        return directory or demo(cache)
    if data.source == "flower_photos":
        return flower_photos(directory, cache)
    if directory is None:
        raise DataError(
            "data=folder needs the folder of your pictures, but none was given; add data.dir=PATH."
        )
    return directory
