"""RandAugment and AugMix: every operation on its own picture, strengths and mixtures by number."""

import numpy as np
import numpy.typing as npt
import pytest

from flowersweep.augment.base import Array
from flowersweep.augment.draw import uniforms
from flowersweep.augment.policy import AUGMIX_NAMES, NAMES, OPERATIONS, AugMix, RandAugment, perform, settings

IMAGES = np.random.default_rng(0).integers(20, 230, (28, 16, 16, 3)).astype(np.float32)
STRENGTHLESS = {"autocontrast", "equalize"}


def performed(strength: float) -> npt.NDArray[np.float32]:
    """Picture i after operation i modulo 14, all in one batch."""
    import tensorflow as tf

    chosen = (np.arange(28) % 14 + 0.5) / 14
    drawn = settings(NAMES, chosen, np.full(28, strength))
    images = tf.constant(IMAGES)
    return np.asarray(perform(images, drawn["operation"], drawn["setting"], NAMES))


def test_the_fourteen_operations_are_the_papers() -> None:
    """RandAugment chooses among 14, AugMix among the 9 that are no test corruption."""
    assert len(NAMES) == 14
    assert len(AUGMIX_NAMES) == 9
    assert not {"color", "contrast", "brightness", "sharpness", "identity"} & set(AUGMIX_NAMES)


def test_each_picture_gets_its_own_operation() -> None:
    """A batch of all operations gives what each gives alone."""
    result = performed(0.5)
    for place, name in enumerate(NAMES):
        alone = OPERATIONS[name].run(IMAGES[place : place + 1], OPERATIONS[name].setting(np.array([0.5])))
        assert np.array_equal(result[place : place + 1], alone), name


@pytest.mark.parametrize("place", range(14), ids=NAMES)
def test_strength_zero_changes_nothing(place: int) -> None:
    """All operations but the two without a strength are the identity then."""
    same = np.array_equal(performed(0.0)[place], IMAGES[place])
    assert same == (NAMES[place] not in STRENGTHLESS)


@pytest.mark.parametrize("place", range(1, 14), ids=NAMES[1:])
def test_full_strength_changes_the_picture_and_stays_in_range(place: int) -> None:
    """Every operation but the identity does something, within 0..255."""
    result = performed(1.0)[place]
    assert np.abs(result - IMAGES[place]).mean() > 1
    assert result.min() >= 0
    assert result.max() <= 255


def test_operations_are_chosen_evenly_and_signs_tossed() -> None:
    """Each of the 14 comes to a 14th, in both places, and half of the factors are above 1."""
    drawn = RandAugment().parameters(uniforms(0, 0, 28_000, 4))
    for place in range(2):
        counts = np.bincount(drawn["operation"][:, place].astype(int), minlength=14)
        assert counts == pytest.approx(2_000, rel=0.1)
    brightness = drawn["setting"][drawn["operation"] == NAMES.index("brightness")][:, 0]
    assert np.unique(brightness) == pytest.approx([0.73, 1.27])
    assert (brightness > 1).mean() == pytest.approx(0.5, abs=0.03)


def test_no_operations_change_nothing() -> None:
    """RandAugment with num_ops 0 needs no numbers and returns the pictures."""
    augmentation = RandAugment(num_ops=0)
    assert augmentation.n_uniforms == 0
    drawn = augmentation.parameters(uniforms(0, 0, 28, 0))
    assert np.array_equal(augmentation.apply(IMAGES, drawn, 16), IMAGES)


def test_chains_have_one_to_three_operations_and_weights_sum_to_one() -> None:
    """A third of AugMix's chains has each length, and the three weights are 1/3 on average."""
    augmentation = AugMix()
    drawn = augmentation.parameters(uniforms(0, 0, 5_000, augmentation.n_uniforms))
    lengths = (drawn["operation"] > 0).sum(axis=2)
    assert np.bincount(lengths.ravel())[1:] / 15_000 == pytest.approx(1 / 3, abs=0.02)
    assert drawn["weight"].sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert drawn["weight"].mean(axis=0) == pytest.approx(1 / 3, abs=0.02)
    assert drawn["weight"].var() == pytest.approx(1 / 18, abs=0.005)  # that of a Dirichlet(1, 1, 1)


def mixture(weight: list[float], blend: float) -> Array:
    """AugMix of two chains of one operation, which inverts picture 0 in the first and spares it in the second."""
    import tensorflow as tf

    operation = np.array([NAMES.index("solarize"), NAMES.index("identity")], np.float32)
    parameters = {
        "operation": operation.reshape(1, 2, 1),
        "setting": np.zeros((1, 2, 1, 9), np.float32),
        "weight": np.array([weight], np.float32),
        "blend": np.array([blend], np.float32),
    }
    return np.asarray(AugMix(num_chains=2, chain_depth=1).apply(tf.constant(IMAGES[:1]), parameters, 16))


def test_the_mixture_is_weighted_and_blended() -> None:
    """With weights 3/4 and 1/4 and blend 1/2 the result is half the picture, 3/8 its negative, 1/8 itself."""
    expected = IMAGES[:1] * (1 / 2 + 1 / 8) + (255 - IMAGES[:1]) * 3 / 8
    assert mixture([0.75, 0.25], 0.5) == pytest.approx(expected, abs=1e-3)
    assert np.array_equal(mixture([0.75, 0.25], 0.0), IMAGES[:1])
