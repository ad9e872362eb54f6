"""The kinds of files in the cache: each has its own folder, and its files are named by a digest of their inputs.

Code that writes or finds such files gets their paths here, so that everything that is written is also listed and removed.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: Its name in the list of the cache's contents.
        folder: Below the cache folder.
        ending: The extension of its files.
    """

    name: str
    folder: str
    ending: str

    @property
    def pattern(self) -> str:
        """A glob pattern of all its files, relative to the cache folder."""
        return f"{self.folder}/*{self.ending}"

    def path(self, cache: Path, name: str) -> Path:
        """The path of a file, given its name without extension."""
        return cache / self.folder / f"{name}{self.ending}"


# Decoded pictures of a data set at one size.
PIXELS = Kind("pictures", "pictures", ".npy")
# The draws of feature banks; each bank is a folder, see `flowersweep.cache.draws`.
FEATURES = Kind("features", "features", ".npy")
# Trained last layers, see `flowersweep.cache.heads`.
HEADS = Kind("head", "heads", ".npz")
# States of interrupted trainings, see `flowersweep.cache.checkpoints`; named by the run.
CHECKPOINTS = Kind("checkpoint", "checkpoints", ".npz")
# Prefixes converted for LiteRT.
PREFIXES = Kind("prefix", "prefixes", ".tflite")
# Stored facts about a folder's files: their hashes, and which of them cannot be read.
HASHES = Kind("record", "hashes", ".json")
UNREADABLE = Kind("record", "unreadable", ".json")

ALL = (PIXELS, FEATURES, HEADS, CHECKPOINTS, PREFIXES, HASHES, UNREADABLE)

# The photographs, and their archive until it is unpacked; both are written under the lock of the former.
PHOTOS = "flower_photos"
PHOTOS_ARCHIVE = f"{PHOTOS}.tgz"
