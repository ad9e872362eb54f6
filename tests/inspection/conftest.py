"""A folder with one of everything that is worth a finding."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def photo(seed: int, width: int = 60, height: int = 40) -> Image.Image:
    """A picture of a few random colours that blend into each other; another seed looks different."""
    few = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(few).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of ten pictures of which all differ, and then: copies, versions, damaged and odd ones."""
    root = tmp_path_factory.mktemp("photos") / "My <garden>"
    for label, name in enumerate(("a & b", "c", "d")):
        (root / name).mkdir(parents=True)
        for number in range(10):
            photo(10 * label + number).save(root / name / f"{number}.png")
    (root / "a & b/copy.png").write_bytes((root / "a & b/0.png").read_bytes())
    (root / "c/torn.png").write_bytes((root / "a & b/1.png").read_bytes())
    photo(2, 30, 20).save(root / "a & b/small.jpg", quality=70)
    photo(3).convert("L").save(root / "d/grey.png")
    photo(99, 200, 50).save(root / "d/wide.png")
    (root / "d/broken.png").write_bytes(b"no picture")
    return root
