"""What MixUp and CutMix draw, and what they make of two pictures and two labels."""

import numpy as np
import pytest
import scipy.stats  # type: ignore[import-untyped] # it ships no types
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.augment import AUGMENTATIONS, uniforms
from flowersweep.augment.mixing import CutMix, MixUp, mixed_labels
from flowersweep.augment.stack import Stack

SIZE = 20
mixing = pytest.mark.parametrize("kind", [MixUp, CutMix])


@mixing
@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_the_larger_part_of_a_beta_distribution(kind: type[MixUp | CutMix], alpha: float) -> None:
    """Folded at a half; a Kolmogorov-Smirnov test finds no difference."""
    augmentation = kind(alpha=alpha)
    drawn = augmentation.parameters(uniforms(0, 0, 2000, augmentation.n_uniforms))
    beta = scipy.stats.beta(alpha, alpha)
    assert drawn["share"].min() >= 0.5
    assert scipy.stats.kstest(drawn["share"], lambda x: beta.cdf(x) - beta.cdf(1 - x)).pvalue > 0.01


@mixing
def test_any_picture_is_mixed_in_equally_often(kind: type[MixUp | CutMix]) -> None:
    """Also the first and the last one, and none beyond."""
    augmentation = kind()
    drawn = augmentation.parameters(uniforms(0, 0, 10_000, augmentation.n_uniforms))
    counts = np.bincount(augmentation.others(drawn, 10))
    assert len(counts) == 10
    assert scipy.stats.chisquare(counts).pvalue > 0.01
    drawn["other"][:] = 1.0  # what single precision may make of a number just below 1
    assert set(augmentation.others(drawn, 10)) == {9}


@mixing
def test_a_fraction_is_mixed(kind: type[MixUp | CutMix]) -> None:
    """With factor=0.25 a quarter; the others keep picture and label."""
    augmentation = kind(factor=0.25)
    drawn = augmentation.parameters(uniforms(0, 0, 400, augmentation.n_uniforms))
    images = np.zeros((400, SIZE, SIZE, 3), np.float32)
    mixed = np.asarray(augmentation.mix(images, images + 255, drawn, SIZE))
    changed = np.asarray(mixed.any(axis=(1, 2, 3)))
    whole = np.equal(augmentation.shares(drawn, SIZE), 1)
    assert 0.15 < changed.mean() < 0.3
    assert not changed[whole].any()
    assert changed[~whole].all()


@mixing
def test_label_and_pixels_have_the_same_shares(kind: type[MixUp | CutMix]) -> None:
    """White mixed into black: the mean of a picture is 255 times the other's share, to the pixel."""
    augmentation = kind(alpha=1.0)
    drawn = augmentation.parameters(uniforms(3, 0, 50, augmentation.n_uniforms))
    images = np.zeros((50, SIZE, SIZE, 3), np.float32)
    mixed = np.asarray(augmentation.mix(images, images + 255, drawn, SIZE))
    np.testing.assert_allclose(
        mixed.mean(axis=(1, 2, 3)) / 255, 1 - augmentation.shares(drawn, SIZE), atol=1e-6
    )
    if kind is CutMix:
        assert set(np.unique(mixed)) == {0, 255}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.floats(0.5, 1, width=32)), min_size=1))
def test_a_mixed_label_is_a_distribution(rows: list[tuple[int, int, float]]) -> None:
    """Rows sum to 1, and the picture's own class has its share, or all if both are of one class."""
    own, others, shares = (np.array(column) for column in zip(*rows, strict=True))
    mixed = mixed_labels(own, others, shares.astype(np.float32), 5)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed[np.arange(len(own)), own], np.where(own == others, 1, shares), atol=1e-6)


def test_only_what_mixes_says_so() -> None:
    """A stack does if its last layer does; another order is refused."""
    assert {name for name, kind in AUGMENTATIONS.items() if kind().mixes} == {"MixUp", "CutMix"}
    assert Stack(layers=["RandomFlip", {"name": "MixUp", "alpha": 0.4}]).mixes
    for layers in (["MixUp", "RandomFlip"], ["MixUp", "CutMix"]):
        (problem,) = Stack(layers=layers).problems()
        assert problem == "MixUp and CutMix must be the last layer of a stack, and only one of them."
