"""The preview grid."""

import numpy as np
import pytest

from flowersweep.augment import AUGMENTATIONS
from flowersweep.augment.draw import uniforms
from flowersweep.augment.preview import preview

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)


def test_the_grid_shows_originals_and_draws() -> None:
    """Column 0 is the picture, column e + 1 the draw of epoch e, under a line of labels."""
    flip = AUGMENTATIONS["RandomFlip"](seed=4)
    grid = np.asarray(preview(flip, IMAGES, 24, epochs=2))
    assert grid.shape == (18 + 3 * 28 - 4, 3 * 28 - 4, 3)
    assert np.array_equal(grid[18:42, :24], IMAGES[0])
    drawn = flip.parameters(uniforms(4, 1, 3, 2))
    expected = np.asarray(flip.apply(IMAGES.astype(np.float32), drawn, 24))
    assert np.array_equal(grid[18 + 56 : 18 + 80, 56:80], expected[2])


def test_pictures_from_the_middle_of_a_set_show_their_own_draws() -> None:
    """Row r of the grid has the draws of picture `indices[r]`."""
    rotation = AUGMENTATIONS["RandomRotation"]()
    grid = np.asarray(preview(rotation, IMAGES[:1], 24, epochs=1, indices=np.array([7])))
    drawn = rotation.parameters(uniforms(0, 0, 8, 1))
    expected = rotation.apply(IMAGES[:1].astype(np.float32), {"matrix": drawn["matrix"][7:]}, 24)
    assert np.array_equal(grid[18:, 28:], np.rint(np.asarray(expected))[0])


def test_a_cycle_brings_the_draws_back() -> None:
    """With a cycle of 2 the column of epoch 2 is that of epoch 0, and that of epoch 1 is another."""
    rotation = AUGMENTATIONS["RandomRotation"](cycle=2)
    grid = np.asarray(preview(rotation, IMAGES, 24, epochs=3))[18:]
    first, second, third = (grid[:, start : start + 24] for start in (28, 56, 84))
    assert np.array_equal(third, first)
    assert not np.array_equal(second, first)


@pytest.mark.parametrize("name", ["RandomCrop", "none"])
def test_the_grid_has_the_image_size_whatever_the_source(name: str) -> None:
    """Originals larger than the image size are scaled down for their column."""
    augmentation = AUGMENTATIONS[name]()
    source = np.random.default_rng(1).integers(0, 256, (1, 1, 1, 3), dtype=np.uint8)
    source = np.broadcast_to(source, (1, augmentation.source_size(16), augmentation.source_size(16), 3))
    grid = np.asarray(preview(augmentation, source, 16, epochs=1))
    assert grid.shape == (18 + 16, 36, 3)
    assert (grid[18:, :16] == source[0, 0, 0]).all()
