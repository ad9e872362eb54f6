"""The list of pictures in a folder with one sub-folder per class, in exactly the same order as in Keras."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from flowersweep.errors import DataError
from flowersweep.redaction import tell
from flowersweep.texts import counted, expanded, in_one_line, is_line, paired

_log = logging.getLogger(__name__)

# The extensions of pictures in a folder, in upper or lower case: those that keras.utils.image_dataset_from_directory
# reads, so that the split equals Keras'. The content of such a file is checked separately (decode.FORMATS), and a
# single file given by its path may have any name.
PICTURE_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")

# The folders of data.split=folders, and the parts that they hold.
PART_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The pictures of a data set and their classes.

    Attributes:
        root: The folder that holds one sub-folder per class.
        class_names: The names of the class folders, sorted.
        paths: Path of each picture, relative to `root` and with forward slashes, in the order in which
            `keras.utils.image_dataset_from_directory(shuffle=False)` lists them.
        labels: int32, shape (n,): the index of each picture's class in `class_names`.
    """

    root: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.paths)


def read_folder(root: Path, min_classes: Literal[1, 2] = 2) -> Catalogue:
    """List the pictures of a folder with one sub-folder per class.

    The rules are those of Keras: hidden folders directly below `root` are not classes, sub-folders of a class
    belong to it, links to files are followed, links to folders inside a class are not, and only files with an
    extension in `PICTURE_ENDINGS` count. Ignored files are logged.

    Args:
        root: The folder.
        min_classes: The smallest number of classes; a model can be evaluated on one, but not be trained with it.

    Raises:
        DataError: The folder is missing or is a file, contains fewer classes, a class is empty or cannot be listed,
            or the name of one is not valid text.
    """
    folder = class_root(root)
    class_names = tuple(_subfolders(folder))
    _refuse_odd(folder, class_names)
    tell(class_names)
    if len(class_names) < min_classes:
        found = f"only the class folder {class_names[0]}" if class_names else "no class folders"
        needed = "two sub-folders" if min_classes > 1 else "one sub-folder"
        raise DataError(
            f"{folder} contains {found}; it must contain at least {needed}, one per class, with pictures in them."
        )
    paths: list[str] = []
    labels: list[int] = []
    left_out: list[str] = []
    for label, name in enumerate(class_names):
        pictures, others = _walk(folder, name)
        if not pictures:
            raise DataError(f"The class folder {folder / name} {no_pictures(others)}, or remove the folder.")
        paths += pictures
        labels += [label] * len(pictures)
        left_out += others
    log_left_out(folder, left_out)
    _log_loose(folder)
    _log.info(
        "Found %s of %s in %s.",
        counted(len(paths), "picture"),
        counted(len(class_names), "class", "classes"),
        folder,
    )
    return Catalogue(folder, class_names, tuple(paths), np.array(labels, np.int32))


def read_parts(root: Path) -> Catalogue:
    """List the pictures of a folder whose sub-folders `train`, `val` and perhaps `test` each have the class folders.

    The first component of a path in the result is a key of `PART_FOLDERS`.

    Raises:
        DataError: `train` or `val` is missing, their classes differ, or one of them is not as `read_folder` expects.
    """
    root = expanded(root).absolute()
    found: dict[str, Catalogue] = {}
    for name, part in PART_FOLDERS.items():
        if (root / name).is_dir():
            if part in {PART_FOLDERS[other] for other in found}:
                raise DataError(f"{root} has two folders for {part}: {', '.join([*found, name])}; keep one.")
            found[name] = read_folder(root / name)
    parts = {PART_FOLDERS[name] for name in found}
    if not {"train", "validation"} <= parts:
        raise DataError(
            f"data.split=folders needs the folders train and val (and perhaps test) in {root}, each with one sub-folder per "
            f"class, but found {', '.join(found) or 'none of them'}; create them, or use another data.split."
        )
    first, *others = found.items()
    class_names = first[1].class_names
    labels = [first[1].labels]
    for name, catalogue in others:
        pairs = paired(catalogue.class_names, class_names)
        if odd := sorted({*class_names, *catalogue.class_names} - {*pairs, *pairs.values()}):
            where, lacking = (first[0], name) if odd[0] in class_names else (name, first[0])
            raise DataError(
                f"The class {odd[0]} is in {root / where}, but not in {root / lacking}; every part needs the same classes."
            )
        numbers = np.array([class_names.index(pairs[one]) for one in catalogue.class_names], np.int32)
        labels.append(numbers[catalogue.labels])
    return Catalogue(
        root,
        class_names,
        tuple(
            (catalogue.root / path).relative_to(root).as_posix()
            for catalogue in found.values()
            for path in catalogue.paths
        ),
        np.concatenate(labels),
    )


def class_root(folder: Path) -> Path:
    """The folder that contains the class folders: `folder`, or the only folder in it.

    An unpacked archive is often one folder too deep (flower_photos/flower_photos/daisy/...). Read from the
    outer folder, every picture would have the same label and accuracy would be 100 %, so the outer folder is skipped.

    Returns:
        An absolute path.

    Raises:
        DataError: `folder` is missing, is not a folder, or cannot be listed.
    """
    folder = expanded(folder).absolute()
    if not folder.exists():
        raise DataError(
            f"The picture folder {folder} does not exist; give a folder with one sub-folder per class."
        )
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; give a folder with one sub-folder per class.")
    try:
        while len(names := _subfolders(folder)) == 1 and not _has_pictures(folder):
            inner = folder / names[0]
            if _has_pictures(inner) or not _subfolders(inner):
                break
            _log.info(
                "%s contains only the folder %s; the class folders are read from there.", folder, names[0]
            )
            folder = inner
    except OSError as error:
        raise DataError(f"The picture folder {folder} cannot be listed: {error.strerror}.") from error
    return folder


def _refuse_odd(folder: Path, class_names: Iterable[str]) -> None:
    """Reject names that cannot be used for classes in all files, tables and databases."""
    if not is_line(str(folder)):
        raise DataError(
            f"The path of the picture folder {in_one_line(folder)} is not one line of UTF-8 text; rename the folder."
        )
    for name in class_names:
        if not is_line(name):
            raise DataError(
                f"The class folder {in_one_line(name)} in {folder} has a name that is not one line of UTF-8 text; rename it."
            )


def count_pictures(root: Path) -> dict[str, int]:
    """The number of pictures in each class folder of `root`; logs nothing and accepts empty classes."""
    return {name: len(_walk(root, name)[0]) for name in _subfolders(root)}


def _subfolders(folder: Path) -> list[str]:
    return sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def is_picture(name: str) -> bool:
    """Whether a file in a folder counts as a picture, by its name."""
    return name.lower().endswith(PICTURE_ENDINGS)


def ending(name: str) -> str:
    """The extension of a file without a picture's extension, for messages."""
    return in_one_line(Path(name).suffix.lower()) or "no extension"


def no_pictures(others: Iterable[str]) -> str:
    """The middle of a message about a folder without pictures: what counts, what was found instead, how to fix it.

    Args:
        others: `ending` of each of its files.
    """
    counts = Counter(others)
    found = f"only files with other extensions: {_counted(counts)}" if counts else "no files at all"
    rename = (
        ", or give them one of these extensions (the format is detected from the content)"
        if {".webp", ".tif", ".tiff", ".jpe", ".jfif"} & counts.keys()
        else ""
    )
    return f"contains no pictures ({', '.join(PICTURE_ENDINGS)}) but {found}; add some{rename}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{one} {count}" for one, count in counts.most_common())


def _has_pictures(folder: Path) -> bool:
    return any(is_picture(entry.name) for entry in folder.iterdir())


def _walk(root: Path, class_name: str) -> tuple[list[str], list[str]]:
    """The pictures of one class as POSIX paths relative to `root`, and the extensions of all other files."""
    pictures: list[str] = []
    others: list[str] = []
    # As Keras, sort by the complete folder path, including separators; "a-b" then precedes "a/b".
    for folder, _, names in sorted(folders_below(root / class_name), key=lambda step: step[0]):
        relative = Path(folder).relative_to(root).as_posix()
        pictures += [f"{relative}/{name}" for name in sorted(names) if is_picture(name)]
        others += [ending(name) for name in names if not is_picture(name)]
    return pictures, others


def folders_below(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, which would leave out what it cannot list.

    Raises:
        DataError: A folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise DataError(
            f"The folder {in_one_line(error.filename)} cannot be listed ({error.strerror}); make it readable, or move it "
            "elsewhere."
        ) from error

    return os.walk(folder, onerror=refuse)


def log_left_out(folder: Path, endings: Iterable[str]) -> None:
    """Log which files of a folder do not have a picture's extension, if there are any.

    Args:
        folder: The folder.
        endings: `ending` of each.
    """
    if counts := Counter(endings):
        _log.warning(
            "Left out %s in %s without the extension of a picture: %s.",
            counted(counts.total(), "file"),
            folder,
            _counted(counts),
        )


def _log_loose(folder: Path) -> None:
    if loose := sum(is_picture(entry.name) for entry in folder.iterdir() if entry.is_file()):
        _log.warning("Left out %s directly in %s, without a class.", counted(loose, "picture"), folder)
