"""Check of the pictures: their location, their number, and whether they can be read."""

from collections.abc import Iterator
from pathlib import Path

from flowersweep.config import cache_dir
from flowersweep.config.schema import Config
from flowersweep.data import FLOWER_PHOTOS, Catalogue, class_root
from flowersweep.data.catalogue import count_pictures
from flowersweep.data.decode import UnreadableError, load
from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.doctor.folders import gigabytes
from flowersweep.errors import DataError
from flowersweep.texts import in_one_line
from flowersweep.training.dataset import divide, read_pictures
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
    folder = Path(given) if given is not None else cache_dir(config.paths.cache) / "flower_photos"
    if given is None and not folder.exists():
        found = f"flower_photos is not in {folder.parent}"
        fix = f"the first run downloads {gigabytes(FLOWER_PHOTOS.size)}; if you have it, give its folder: data.dir=PATH"
        yield Finding("pictures", found, Verdict.NOTE, fix)
        return
    catalogue = read_pictures(folder, config.data)
    _read_one_of_each_class(catalogue)
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


def _read_one_of_each_class(catalogue: Catalogue) -> None:
    """Decode the first picture of each class, which finds missing rights and mounts; a run finds damaged pictures."""
    for label in range(len(catalogue.class_names)):
        path = catalogue.root / catalogue.paths[int((catalogue.labels == label).argmax())]
        try:
            load(path)
        except UnreadableError as error:
            raise DataError(
                f"{in_one_line(path)} {error.reason}; give the right to read it, fix it, or leave out damaged "
                "pictures with data.unreadable=skip."
            ) from error
