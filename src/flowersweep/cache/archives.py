"""Archives of arrays (.npz): whether one is whole, and what an error while reading one means."""

import errno
import zipfile
from pathlib import Path


def is_whole_archive(path: Path) -> bool:
    """Whether the checksums in an archive are right.

    Raises:
        OSError: There is no file, or it cannot be read, which does not mean that it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception as error:  # zipfile raises almost anything on damaged content
        if not means_damage(error):
            raise
        return False


def means_damage(error: Exception) -> bool:
    """Whether an error while reading an archive says that its content is damaged, and not that it cannot be read now."""
    if isinstance(error, OSError):
        # Damaged content can lead zipfile to a position before the file, and NumPy raises OSError without a number.
        return error.errno in {None, errno.EINVAL}
    return not isinstance(error, MemoryError)
