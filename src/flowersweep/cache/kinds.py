"""The kinds of files in the cache: each has a folder of its own and is named by a digest of what it was made from.

Whoever writes or finds such files asks here where they are, so that what is written is also listed and removed.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: As the list of the cache's contents calls it.
        folder: Below the cache folder.
        ending: Of its files' names.
    """

    name: str
    folder: str
    ending: str

    @property
    def pattern(self) -> str:
        """What finds all its files, relative to the cache folder."""
        return f"{self.folder}/*{self.ending}"

    def path(self, cache: Path, name: str) -> Path:
        """Where a file lies, given its name without ending."""
        return cache / self.folder / f"{name}{self.ending}"


# Decoded pictures of a data set at one size.
PIXELS = Kind("pictures", "pictures", ".npy")
# The draws of feature banks; each bank is a folder, see `flowersweep.cache.draws`.
FEATURES = Kind("features", "features", ".npy")
# Trained last layers, see `flowersweep.cache.heads`.
HEADS = Kind("head", "heads", ".npz")
# Prefixes converted for LiteRT.
PREFIXES = Kind("prefix", "prefixes", ".tflite")
# What is remembered of a folder's files: their hashes, and which of them cannot be read.
HASHES = Kind("record", "hashes", ".json")
UNREADABLE = Kind("record", "unreadable", ".json")
