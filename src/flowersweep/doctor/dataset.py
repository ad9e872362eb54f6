"""Check of the pictures: their location, their number, and whether they can be read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flowersweep.config import cache_dir
from flowersweep.config.schema import Config
from flowersweep.data import FLOWER_PHOTOS, Catalogue, class_root
from flowersweep.data.catalogue import count_pictures
from flowersweep.data.decode import UnreadableError, load
from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.doctor.folders import gigabytes
from flowersweep.errors import DataError
from flowersweep.texts import in_one_line
from flowersweep.training.dataset import NO_FOLDER, divide, read_pictures
from flowersweep.training.logs.notices import notices


def check_pictures(config: Config) -> Iterator[Finding]:
    """Check the pictures of a run with this configuration; nothing is downloaded or generated.

    Raises:
        DataError: The folder is missing or does not have one sub-folder per class, or its pictures are damaged.
    """
    source, given = config.data.source, config.data.dir
    if source == "demo":
        yield Finding("pictures", "generated in the cache on first use")
        return
    if source == "folder" and given is None:
        raise DataError(NO_FOLDER)
    folder = Path(given) if given is not None else cache_dir(config.paths.cache) / "flower_photos"
    if given is None and not folder.exists():
        found = f"flower_photos is not in {folder.parent}"
        fix = f"the first run downloads {gigabytes(FLOWER_PHOTOS.size)}; if you have it, give its folder: data.dir=PATH"
        yield Finding("pictures", found, Verdict.NOTE, fix)
        return
    catalogue = read_pictures(folder, config.data)
    _read_one_of_each_class(catalogue, skips=config.data.unreadable == "skip")
    found = f"{len(catalogue):,} of {len(catalogue.class_names)} classes in {catalogue.root}"
    if source == "flower_photos" and count_pictures(class_root(folder)) != FLOWER_PHOTOS.counts:
        published = sum(FLOWER_PHOTOS.counts.values())
        if given is None:
            fix = f"delete {folder}; it is then downloaded again"
            yield Finding("pictures", f"{found}, not the published {published:,}", Verdict.FIX, fix)
            return
        fix = "if they are your own pictures, use data=folder"
        yield Finding("pictures", f"{found}, not the published {published:,}", Verdict.NOTE, fix)
    else:
        yield Finding("pictures", found)
    for notice in notices(config, catalogue, divide(catalogue, config.data)):
        yield Finding("pictures", notice.found, Verdict.NOTE, notice.fix)


def _read_one_of_each_class(catalogue: Catalogue, *, skips: bool) -> None:
    """Decode a picture of each class, which finds missing rights and mounts; a run finds damaged pictures.

    Args:
        catalogue: The pictures.
        skips: Whether a run leaves damaged pictures out, so that one that can be read is enough.
    """
    for label in range(len(catalogue.class_names)):
        paths = [catalogue.root / catalogue.paths[i] for i in np.flatnonzero(catalogue.labels == label)]
        for path in paths:
            try:
                load(path)
                break
            except UnreadableError as error:
                if not skips:
                    raise DataError(
                        f"{in_one_line(path)} {error.reason}; give the right to read it, fix it, or leave out "
                        "damaged pictures with data.unreadable=skip."
                    ) from error
        else:
            raise DataError(
                f"None of the {len(paths):,} pictures of the class {catalogue.class_names[label]!r} can be read, the first "
                f"one is {in_one_line(paths[0])}; give the right to read them, or fix them."
            )
