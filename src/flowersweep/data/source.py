"""The sources of pictures: a folder on disk, the published flower_photos, or synthetic flowers."""

import logging
import shutil
from pathlib import Path

from flowersweep.cache.atomic import discard, locked, new_folder
from flowersweep.cache.kinds import PHOTOS, PHOTOS_ARCHIVE
from flowersweep.data.catalogue import class_root, count_pictures
from flowersweep.data.demo import KINDS, VERSION, draw_all
from flowersweep.data.download import FLOWER_PHOTOS, Archive, fetch, unpack
from flowersweep.errors import DataError, DownloadError

_log = logging.getLogger(__name__)


def flower_photos(directory: Path | None, cache: Path, *, archive: Archive = FLOWER_PHOTOS) -> Path:
    """The folder of flower_photos that contains the class folders, downloaded on first use.

    Args:
        directory: The folder of existing pictures; None searches `cache` and downloads.
        cache: The folder below which `flower_photos` is unpacked.
        archive: The archive to download.

    Raises:
        DataError: The pictures are not on disk and cannot be downloaded, or those in the cache are incomplete.
    """
    if directory is not None:
        folder = class_root(directory)
        if (counts := count_pictures(folder)) != archive.counts:
            _log.warning(
                "%s is not the published data set: it contains %s, not %s.", folder, counts, archive.counts
            )
        return folder
    target = cache / PHOTOS
    if not target.exists():
        remedies = (
            "Use pictures that are already on disk with data.dir=PATH or the environment variable FLOWERSWEEP_DATA, or "
            f"download the archive manually from {archive.url} and unpack it so that {target} contains "
            f"{', '.join(archive.counts)}; data=demo needs no download."
        )
        try:
            _download(archive, target)
        except DownloadError as error:
            raise DownloadError(f"flower_photos is not in {target}, and {error} {remedies}") from error
    folder = class_root(target)
    if (counts := count_pictures(folder)) != archive.counts:
        raise DataError(
            f"{folder} is incomplete: it contains {counts} instead of {archive.counts}; delete {target} to "
            "download it again, or use it unchanged with data.dir."
        )
    return folder


def _download(archive: Archive, target: Path) -> None:
    with locked(target):
        if target.exists():
            return  # another process was faster
        packed = target.with_name(PHOTOS_ARCHIVE)
        _log.info("Downloading %s (%.0f MB) to %s.", archive.url, archive.size / 1e6, target)
        fetch(archive.url, packed, size=archive.size, sha256=archive.sha256)
        try:
            unpack(packed, target)
        finally:
            discard(packed)


def demo(cache: Path, *, per_class: int = 140) -> Path:
    """The folder of the synthetic flowers, drawn on first use; the same pictures on every machine.

    Args:
        cache: The folder below which they are stored.
        per_class: Number of pictures of each of the five classes.

    Raises:
        DataError: The cache cannot be written to.
    """
    target = cache / f"demo-{VERSION}-{per_class}"
    whole = dict.fromkeys(KINDS, per_class)
    if not (target.is_dir() and count_pictures(target) == whole):
        with locked(target):
            if not (target.is_dir() and count_pictures(target) == whole):
                if target.exists():
                    _log.warning("%s is incomplete and will be recreated.", target)
                    shutil.rmtree(target)
                _log.info("Drawing %d flowers of each class into %s.", per_class, target)
                with new_folder(target) as part:
                    draw_all(part, per_class)
    return target
