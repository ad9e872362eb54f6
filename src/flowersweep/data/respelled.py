"""A data set whose names another system has written in another form of Unicode, as macOS does with a copy."""

import dataclasses
import unicodedata
from typing import Literal

import numpy as np

from flowersweep.data.catalogue import Catalogue

FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def respelled(
    catalogue: Catalogue, form: Literal["NFC", "NFD"], *, in_parts: bool
) -> tuple[Catalogue, Catalogue] | None:
    """The pictures in the order in which they would be listed if their names were in one form, and with these names.

    Args:
        catalogue: As listed by `read_folder` or `read_parts`.
        form: Of the names.
        in_parts: Whether it is that of `read_parts`, whose parts follow each other.

    Returns:
        The catalogue with its own names, by which the files are found, and the same with the other names; None if some
        names differ only in their form, so that they are different pictures or classes.
    """
    names = [unicodedata.normalize(form, name) for name in catalogue.class_names]
    paths = [unicodedata.normalize(form, path) for path in catalogue.paths]
    if len(set(names)) < len(names) or len(set(paths)) < len(paths):
        return None
    ordered = sorted(names)
    labels = np.array([ordered.index(name) for name in names], np.int32)[catalogue.labels]
    parts = list(dict.fromkeys(path.partition("/")[0] for path in paths)) if in_parts else []

    def place(index: int) -> tuple[int, int, str, str]:
        """As Keras sorts: by class, complete folder and name."""
        folder, _, name = paths[index].rpartition("/")
        return (parts.index(folder.partition("/")[0]) if in_parts else 0, int(labels[index]), folder, name)

    order = sorted(range(len(paths)), key=place)
    own = dataclasses.replace(
        catalogue, paths=tuple(catalogue.paths[i] for i in order), labels=catalogue.labels[order]
    )
    other = Catalogue(catalogue.root, tuple(ordered), tuple(paths[i] for i in order), labels[order])
    return own, other
