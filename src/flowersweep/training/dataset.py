"""Finding, splitting and decoding the pictures of a run. Runs before TensorFlow is imported."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flowersweep.config import cache_dir
from flowersweep.config.class_weight import check_names
from flowersweep.config.schema import Config, DataConfig
from flowersweep.data import (
    Catalogue,
    Split,
    balanced_split,
    demo,
    fingerprint,
    flower_photos,
    open_pixel_store,
    read_folder,
    read_parts,
    readable,
    split,
)
from flowersweep.data.catalogue import PART_FOLDERS
from flowersweep.data.split import check_parts
from flowersweep.data.split_file import split_table, values_of
from flowersweep.data.stream import Images
from flowersweep.errors import DataError
from flowersweep.texts import expanded

log = logging.getLogger(__name__)

# The list of a configuration's pictures, and their fingerprint.
Found = tuple[Catalogue, str]

NO_FOLDER = "data=folder needs the folder of your pictures, but none was given; add data.dir=PATH."


@dataclass(frozen=True)
class PictureSet:
    """One part of the data, decoded.

    Attributes:
        images: uint8, shape (n, size, size, 3), all pictures of the catalogue.
        indices: int64, shape (m,): the pictures that belong to this part.
        labels: int32, shape (m,): the classes of these pictures.
        targets: float32, shape (m, n_classes), rows that sum to 1: what is learned instead of the labels; None: these.
    """

    images: Images
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    targets: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class Pictures:
    """The data of a run."""

    catalogue: Catalogue
    split: Split
    fingerprint: str
    train: PictureSet
    validation: PictureSet
    test: PictureSet | None


def load_pictures(config: Config, expected: str | None = None) -> Pictures:
    """Open the data set of a configuration.

    Training pictures are decoded at the size that the augmentation needs (RandomCrop needs larger ones), validation
    and test pictures always at `trainer.image_size`, so that every augmentation is evaluated on the same pixels.

    Args:
        config: The configuration.
        expected: The fingerprint that `find_pictures` must return; None for any.

    Raises:
        DataError: The pictures are missing, unreadable or different from those expected; the message says how to fix
            it.
        ConfigError: There are too few pictures for the fractions of the split, or `trainer.class_weight` names a class
            that they do not have.
    """
    cache = cache_dir(config.paths.cache)
    found = find_pictures(config)
    if expected not in {None, found[1]}:
        raise DataError(
            f"The pictures in {found[0].root} are no longer those that the sweep started with; restore those, or start "
            "another sweep with these."
        )
    catalogue, digest, parts = divided(config, found)
    size = config.trainer.image_size
    resizing = config.data.resize
    evaluation = open_pixel_store(catalogue, fingerprint=digest, size=size, cache=cache, resizing=resizing)
    source_size = config.aug.source_size(size)
    training = (
        evaluation
        if source_size == size
        else open_pixel_store(catalogue, fingerprint=digest, size=source_size, cache=cache, resizing=resizing)
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
    """The list of a configuration's pictures and their fingerprint. Decodes none of them and leaves none out.

    Raises:
        DataError: There are no pictures.
    """
    cache = cache_dir(config.paths.cache)
    catalogue = read_pictures(_folder(config.data, cache), config.data)
    return catalogue, fingerprint(catalogue, cache)


def read_pictures(folder: Path, data: DataConfig) -> Catalogue:
    """The list of the pictures in a folder, which has one sub-folder per class or, for data.split=folders, per part."""
    return read_parts(folder) if data.split == "folders" else read_folder(folder)


def divided(config: Config, found: Found | None = None) -> tuple[Catalogue, str, Split]:
    """The pictures of a configuration, their fingerprint, and which of them train, validate and test.

    Decodes none of them, unless unreadable pictures are to be left out and it is not yet known which these are.

    Args:
        config: The configuration.
        found: The result of `find_pictures`, if it was called before; it logs what it finds.

    Raises:
        DataError: As `load_pictures`.
        ConfigError: `trainer.class_weight` names a class that the pictures do not have.
    """
    found = found or find_pictures(config)
    if config.data.unreadable == "skip":
        found = without_unreadable(found, cache_dir(config.paths.cache))
    catalogue, digest = found
    check_names(config.trainer.class_weight, catalogue.class_names)
    return catalogue, digest, divide(catalogue, config.data)


def without_unreadable(found: Found, cache: Path) -> Found:
    """The pictures that can be read, and their fingerprint."""
    catalogue, digest = found
    rest = readable(catalogue, cache=cache, fingerprint=digest)
    return rest, fingerprint(rest, cache)


def divide(catalogue: Catalogue, data: DataConfig, table: str | None = None) -> Split:
    """Split the pictures into training, validation and test parts.

    Args:
        catalogue: The pictures.
        data: How they are split.
        table: The content of data.split_file; None to read the file.

    Raises:
        ConfigError: A part would be empty or, unless the split is that of Keras, lack a class.
        DataError: data.split_file cannot be read, or does not name each picture once.
    """
    seed, validation, test = data.split_seed, data.validation_split, data.test_split
    if data.split == "keras":
        return split(len(catalogue), seed=seed, validation=validation, test=test)
    if data.split in {"folders", "csv"}:
        parts = _named_parts(catalogue, data, table)
        remedy = "give every part pictures of every class"
    else:
        groups = _column(catalogue, data, "group", table) if data.split == "groups" else None
        parts = balanced_split(
            catalogue.labels,
            groups,
            seed=seed,
            validation=validation,
            test=test,
            folds=data.folds,
            fold=data.fold or 0,
        )
        several = "groups" if groups else "pictures"
        remedy = f"add {several} of this class, or use {'larger parts' if data.folds is None else 'fewer data.folds'}"
    check_parts(catalogue.labels, catalogue.class_names, parts, remedy)
    return parts


def _named_parts(catalogue: Catalogue, data: DataConfig, table: str | None) -> Split:
    """The split whose parts are named by folders or in a file."""
    if data.split == "folders":
        names = [path.partition("/")[0] for path in catalogue.paths]
    else:
        names = _column(catalogue, data, "part", table)
    parts = np.array([PART_FOLDERS[name] for name in names])
    masks = (parts == part for part in ("train", "validation", "test"))
    return Split.of(*masks, seed=data.split_seed)


def _column(catalogue: Catalogue, data: DataConfig, column: str, table: str | None) -> list[str]:
    name = str(data.split_file)
    allowed = tuple(PART_FOLDERS) if column == "part" else ()
    return values_of(split_table(name) if table is None else table, column, catalogue, allowed, name=name)


def _folder(data: DataConfig, cache: Path) -> Path:
    directory = expanded(data.dir).absolute() if data.dir else None
    if data.source == "demo":
        return directory or demo(cache)
    if data.source == "flower_photos":
        return flower_photos(directory, cache)
    if directory is None:
        raise DataError(NO_FOLDER)
    return directory
