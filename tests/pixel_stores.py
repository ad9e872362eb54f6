"""Pictures of noise and their decoded pixels, for the tests of what keeps these."""

from pathlib import Path

import numpy as np
from PIL import Image

from flowersweep.data import PixelStore, fingerprint, open_pixel_store, read_folder


def write_photos(root: Path, *, per_class: int, side: int) -> Path:
    """Write pictures of noise, at least `side` pixels high and wide."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            pixels = rng.integers(0, 256, (side + i, side + 2 * i, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.jpg")
    return root


def opened(photos: Path, cache: Path, size: int = 16) -> PixelStore:
    """Open the store of a folder, building it if need be."""
    catalogue = read_folder(photos)
    return open_pixel_store(catalogue, fingerprint=fingerprint(catalogue, cache), size=size, cache=cache)
